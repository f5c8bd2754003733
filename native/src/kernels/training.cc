// What surrounds the network: frames coming in, parameters going in and gradients out, the loss, the optimiser.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activation.h"

namespace mn::MN_ISA {
namespace {

inline float* floats(const Memory& memory, int external) { return static_cast<float*>(memory.externals[external].data); }

}  // namespace

void input(const Input& op, const Memory& memory) {
  const External& source = memory.externals[op.external];
  const Extent& in = op.in;
  const long height = in.height + 2 * op.border_height, width = in.width + 2 * op.border_width;
  float table[3][256];
  for (int channel = 0; channel < 3; channel++)
    for (int byte = 0; byte < 256; byte++) table[channel][byte] = static_cast<float>(byte) * op.factor[channel] + op.offset[channel];
  float* y = memory.at(op.y);
  for_each(in.batch * in.frames * height, [&](long line) {
    const long frame = line / height, h = line % height - op.border_height;
    float* to = y + line * width * 3;
    const bool inside = h >= 0 && h < in.height;
    memset(to, 0, static_cast<size_t>(inside ? 3 * op.border_width : 3 * width) * sizeof(float));
    if (!inside) return;
    to += 3 * op.border_width;
    const long from = (frame * in.height + h) * in.width * 3;
    if (source.bytes) {
      const unsigned char* bytes = static_cast<const unsigned char*>(source.data) + from;
      for (long i = 0; i < 3 * in.width; i += 3)
        for (int channel = 0; channel < 3; channel++) to[i + channel] = table[channel][bytes[i + channel]];
    } else {
      memcpy(to, static_cast<const float*>(source.data) + from, static_cast<size_t>(3 * in.width) * sizeof(float));
    }
    memset(to + 3 * in.width, 0, static_cast<size_t>(3 * op.border_width) * sizeof(float));
  });
}

void slice(const Slice& op, const Memory& memory) {
  float* full = floats(memory, op.external);
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

// Logits are averaged over positions first, as in inference.
void loss(const Loss& op, const Memory& memory) {
  const float* logits = memory.at(op.logits);
  float* dlogits = memory.at(op.dlogits);
  const float* target = floats(memory, op.target);
  const float scale = floats(memory, op.scale)[0];
  double total = 0;
  double* mean = static_cast<double*>(malloc(static_cast<size_t>(op.classes) * sizeof(double)));
  for (long n = 0; n < op.batch; n++) {
    double largest = -1e300, sum = 0;
    for (long k = 0; k < op.classes; k++) {
      mean[k] = 0;
      for (long p = 0; p < op.positions; p++) mean[k] += logits[(n * op.positions + p) * op.classes + k];
      mean[k] /= static_cast<double>(op.positions);
      if (mean[k] > largest) largest = mean[k];
    }
    for (long k = 0; k < op.classes; k++) sum += exp(mean[k] - largest);
    const double normaliser = largest + log(sum);
    double mass = 0;
    for (long k = 0; k < op.classes; k++) mass += target[n * op.classes + k];
    for (long k = 0; k < op.classes; k++) {
      const double p = target[n * op.classes + k], log_q = mean[k] - normaliser;
      total -= p * log_q;
      if (op.kl && p > 0) total += p * log(p);
      const double gradient = (exp(log_q) * mass - p) / static_cast<double>(op.batch * op.positions);
      for (long i = 0; i < op.positions; i++)
        dlogits[(n * op.positions + i) * op.classes + k] = static_cast<float>(gradient * scale);
    }
  }
  free(mean);
  memory.at(op.loss)[0] = static_cast<float>(total / static_cast<double>(op.batch));
}

void square_sum(const SquareSum& op, const Memory& memory) {
  const float* values = floats(memory, op.external);
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
  float* weight = floats(memory, op.parameter);
  float* gradient = floats(memory, op.gradient);
  float* velocity = floats(memory, op.velocity);
  const float* scalars = floats(memory, op.scalars);
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
