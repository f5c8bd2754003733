// Sums over positions that several work items share: each writes its own, which are added in a fixed order.
#pragma once
#include "parallel.h"
#include "vector.h"

namespace mn::MN_ISA {

// to[size] = (or, to accumulate, +=) the sum of `count` arrays behind each other.
inline void add_partials(const float* partial, long count, long size, float* to, bool accumulate = false) {
  constexpr long run = 4096;
  for_each((size + run - 1) / run, [&](long i) {
    for_vectors(i * run, smaller(size, (i + 1) * run), [&](long at, auto span) {
      Vector total = span.load(partial + at);
      for (long k = 1; k < count; k++) total += span.load(partial + k * size + at);
      if (accumulate) total += span.load(to + at);
      span.store(to + at, total);
    });
  });
}

}  // namespace mn::MN_ISA
