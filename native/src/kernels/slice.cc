// Parameters in use, out of their full-size arrays, and their gradients back into those.
#include <string.h>

#include "kernels.h"
#include "parallel.h"

namespace mn::MN_ISA {

void slice(const Slice& op, const Memory& memory) {
  float* full = memory.floats(op.external);
  float* value = memory.at(op.value);
  long in_count = 0, out_count = 0;
  for (long r = 0; r < op.in_runs; r++) in_count += op.in_count[r];
  for (long r = 0; r < op.out_runs; r++) out_count += op.out_count[r];
  for_each(op.taps * in_count, [&](long line) {
    long i = line % in_count, r = 0;
    for (; i >= op.in_count[r]; r++) i -= op.in_count[r];
    float* from = full + (line / in_count * op.full_in + op.in_start[r] + i) * op.full_out;
    float* row = value + line * out_count;
    for (long q = 0; q < op.out_runs; q++) {
      float* at = from + op.out_start[q];
      const long count = op.out_count[q];
      if (op.scatter) {
        for (long o = 0; o < count; o++) at[o] += row[o];
      } else {
        memcpy(row, at, static_cast<size_t>(count) * sizeof(float));
      }
      row += count;
    }
  });
}

}  // namespace mn::MN_ISA
