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

// The columns of a block of at most lanes × lanes values, zero beyond the last row: to[k][i] = from[i · stride + k].
// Whole rows are read at once: rows far apart fight for the same sets of a cache.
inline void transpose(const float* from, long stride, long rows, long columns, Vector* to) {
  float block[lanes][lanes] = {};
  for (long i = 0; i < rows; i++) store(block[i], columns >= lanes ? load(from + i * stride) : Part{columns}.load(from + i * stride));
  for (long k = 0; k < columns; k++)
    for (long i = 0; i < lanes; i++) to[k][i] = block[i][k];
}

}  // namespace mn::MN_ISA
