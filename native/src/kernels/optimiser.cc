// Stochastic gradient descent: the norm of all gradients, and the change of one parameter.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "parallel.h"
#include "vector.h"

namespace mn::MN_ISA {

void square_sum(const SquareSum& op, const Memory& memory) {
  const float* values = memory.floats(op.external);
  constexpr long chunk = 4096;
  const long chunks = (op.count + chunk - 1) / chunk;
  double* partial = static_cast<double*>(malloc(static_cast<size_t>(chunks) * sizeof(double)));
  for_each(chunks, [&](long i) {
    const long end = (i + 1) * chunk < op.count ? (i + 1) * chunk : op.count;
    Vector total{};
    for_vectors(i * chunk, end, [&](long k, auto span) {
      const Vector v = span.load(values + k);
      total += v * v;
    });
    partial[i] = sum(total);
  });
  double all = 0;
  for (long i = 0; i < chunks; i++) all += partial[i];
  free(partial);
  // A double in the place of two floats.
  double so_far = 0;
  float* norm = memory.at(op.norm);
  if (!op.first) memcpy(&so_far, norm, sizeof so_far);
  so_far += all;
  if (op.finish) norm[0] = static_cast<float>(sqrt(so_far));
  else memcpy(norm, &so_far, sizeof so_far);
}

// velocity = momentum · velocity + g; weight −= rate · (nesterov ? g + momentum · velocity : velocity)
void descend(const Descend& op, const Memory& memory) {
  float* weight = memory.floats(op.parameter);
  float* gradient = memory.floats(op.gradient);
  float* velocity = memory.floats(op.velocity);
  const float* scalars = memory.floats(op.scalars);
  const Vector rate = splat(scalars[0]), momentum = splat(scalars[1]);
  const float norm = memory.at(op.norm)[0], limit = scalars[2];
  const Vector factor = splat(limit > 0 && norm > limit ? limit / norm : 1.0f);
  const Vector decay = splat(op.decay ? scalars[3] : 0.0f);
  constexpr long run = 4096;
  for_each((op.count + run - 1) / run, [&](long part) {
    const long begin = part * run;
    for_vectors(begin, begin + run < op.count ? begin + run : op.count, [&](long i, auto span) {
      const Vector w = span.load(weight + i);
      const Vector g = span.load(gradient + i) * factor + decay * w;
      const Vector v = momentum * span.load(velocity + i) + g;
      span.store(velocity + i, v);
      span.store(weight + i, w - rate * (op.nesterov ? g + momentum * v : v));
      span.store(gradient + i, Vector{});
    });
  });
}

}  // namespace mn::MN_ISA
