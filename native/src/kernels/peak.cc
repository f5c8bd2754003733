// What the processor reaches at most, to compare kernels with: multiply-adds that wait for no memory, and values that
// come from memory and go to it.
#include "activation.h"

namespace mn::MN_ISA {
namespace {

// Enough to hide an addition's latency, few enough to stay in registers.
#if MN_VECTOR_BYTES == 64 || defined(__aarch64__)
constexpr int sums = 24;
#else
constexpr int sums = 12;
#endif

}  // namespace

void multiply_adds(const MultiplyAdds& op, const Memory& memory) {
  float* y = memory.at(op.y);
  for_each(op.items, [&](long item) {
    const Vector factor = splat(op.factor);
    Vector total[sums];
#pragma GCC unroll 24
    for (int i = 0; i < sums; i++) total[i] = splat(static_cast<float>(i));
    for (long round = 0; round < multiply_adds_per_item / (sums * lanes); round++) {
#pragma GCC unroll 24
      for (int i = 0; i < sums; i++) total[i] = total[i] * factor + factor;
    }
#pragma GCC unroll 24
    for (int i = 1; i < sums; i++) total[0] += total[i];
    y[item] = sum(total[0]);
  });
}

void stream(const Stream& op, const Memory& memory) {
  const float *a = memory.at(op.a), *b = memory.at(op.b);
  float* y = memory.at(op.y);
  constexpr long run = 16384;
  for_each((op.count + run - 1) / run, [&](long part) {
    for_vectors(part * run, smaller(op.count, (part + 1) * run), [&](long i, auto span) {
      span.store(y + i, span.load(a + i) + splat(op.factor) * span.load(b + i));
    });
  });
}

}  // namespace mn::MN_ISA
