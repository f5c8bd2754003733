// Panels of packed weights: runs of output channels that are multiplied together.
#pragma once
#include "vector.h"

namespace mn::MN_ISA {

// Panels of 3 vectors where that comes out even, else the last ones of 2; 1 only for a single vector.
struct Panels {
  long vectors;
  explicit Panels(long columns) : vectors((columns + lanes - 1) / lanes) {}
  long twos() const { return vectors == 1 ? 0 : vectors % 3 == 0 ? 0 : vectors % 3 == 1 ? 2 : 1; }
  long threes() const { return vectors == 1 ? 0 : (vectors - 2 * twos()) / 3; }
  long count() const { return vectors == 1 ? 1 : threes() + twos(); }
  int width(long panel) const { return vectors == 1 ? 1 : panel < threes() ? 3 : 2; }
  long start(long panel) const {
    return panel <= threes() ? 3 * panel : 3 * threes() + 2 * (panel - threes());
  }
};

// Rows of a register tile for panels of 1, 2 and 3 vectors, and what all of them divide.
template <int Vectors>
constexpr int tile_rows = MN_VECTOR_BYTES == 64 ? (Vectors == 3 ? 8 : 12) : (Vectors == 3 ? 4 : Vectors == 2 ? 6 : 8);
constexpr long whole_tiles = 24;

// The weights of a panel that are used together stay in the first cache: about block_inner rows of them, most_inner at most.
constexpr long block_inner = 256, most_inner = block_inner + block_inner / 2;

// An inner dimension falls into equal parts of so many rows; an even number, because bfloat16 numbers come in pairs.
inline long inner_part(long inner) {
  const long parts = (inner + most_inner - 1) / most_inner;
  return round_up((inner + parts - 1) / parts, 2);
}

// The columns of a block of at most lanes × lanes values, zero beyond the last row: to[k][i] = from[i · stride + k].
// Whole rows are read at once: rows far apart fight for the same sets of a cache.
inline void transpose(const float* from, long stride, long rows, long columns, Vector* to) {
  float block[lanes][lanes] = {};
  for (long i = 0; i < rows; i++) store(block[i], columns >= lanes ? load(from + i * stride) : Part{columns}.load(from + i * stride));
  for (long k = 0; k < columns; k++)
    for (long i = 0; i < lanes; i++) to[k][i] = block[i][k];
}

}  // namespace mn::MN_ISA
