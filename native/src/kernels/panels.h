// Panels of packed weights: runs of output channels that are multiplied together.
#pragma once
#include "vector.h"

namespace mn::MN_ISA {

inline long smaller(long a, long b) { return a < b ? a : b; }
inline long larger(long a, long b) { return a > b ? a : b; }
constexpr long round_up(long a, long to) { return (a + to - 1) / to * to; }

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

}  // namespace mn::MN_ISA
