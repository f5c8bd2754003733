// Operations value by value: activations, sums, gates, dropout, copies of channels; with their gradients.
#include <stdlib.h>

#include "activation.h"

namespace mn::MN_ISA {
namespace {

constexpr long run = 4096;  // values that a thread takes at a time

// A well mixed 32-bit number from a position and a seed (MurmurHash3's finaliser, twice).
inline std::uint32_t mixed(std::uint32_t x, std::uint32_t seed) {
  x ^= seed;
  for (int round = 0; round < 2; round++) {
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    x ^= x >> 16;
    x += seed;
  }
  return x;
}

}  // namespace

void pointwise(const Pointwise& op, const Memory& memory) {
  const float* a = memory.at(op.a);
  const float* b = memory.at(op.b);
  const float* gates = memory.at(op.gates);
  float* y = memory.at(op.y);
  with_activation(op.activation, [&](auto chosen) {
    constexpr int A = decltype(chosen)::value;
    if (!gates) {
      const long count = op.batch * op.positions * op.channels;
      for_each((count + run - 1) / run, [&](long part) {
        const long begin = part * run;
        for_vectors(begin, smaller(begin + run, count), [&](long i, auto span) {
          Vector z = span.load(a + i);
          if (b) z += span.load(b + i);
          span.store(y + i, activate<A>(z));
        });
      });
      return;
    }
    for_each(op.batch * op.positions, [&](long row) {
      for_vectors(0, op.channels, [&](long c, auto span) {
        const long i = row * op.channels + c;
        span.store(y + i, activate<A>(span.load(a + i) * span.load(gates + row / op.positions * op.channels + c)));
      });
    });
  });
}

void pointwise_backward(const PointwiseBackward& op, const Memory& memory) {
  const float* a = memory.at(op.a);
  const float* b = memory.at(op.b);
  const float* gates = memory.at(op.gates);
  const float* dy = memory.at(op.dy);
  float* da = memory.at(op.da);
  float* db = memory.at(op.db);
  float* dgates = memory.at(op.dgates);
  const long channels = op.channels;
  with_activation(op.activation, [&](auto chosen) {
    constexpr int A = decltype(chosen)::value;
    const auto add = [](float* to, bool accumulate, Vector v, auto span) {
      if (to) span.store(to, accumulate ? span.load(to) + v : v);
    };
    if (!gates) {
      const long count = op.batch * op.positions * channels;
      for_each((count + run - 1) / run, [&](long part) {
        const long begin = part * run;
        for_vectors(begin, smaller(begin + run, count), [&](long i, auto span) {
          Vector dz = span.load(dy + i);
          if (A != none) {
            Vector z = span.load(a + i);
            if (b) z += span.load(b + i);
            dz *= slope<A>(z);
          }
          if (da) add(da + i, op.accumulate_a, dz, span);
          if (db) add(db + i, op.accumulate_b, dz, span);
        });
      });
      return;
    }
    // Chunks of positions sum the gates' gradients; the sums are added in order.
    const long chunks = smaller(op.positions, 64);
    float* partial = static_cast<float*>(calloc(static_cast<size_t>(op.batch * chunks * channels), sizeof(float)));
    for_each(op.batch * chunks, [&](long item) {
      const long n = item / chunks, chunk = item % chunks;
      float* sums = partial + item * channels;
      for (long p = op.positions * chunk / chunks; p < op.positions * (chunk + 1) / chunks; p++)
        for_vectors(0, channels, [&](long c, auto span) {
          const long i = (n * op.positions + p) * channels + c;
          const Vector value = span.load(a + i), gate = span.load(gates + n * channels + c);
          const Vector dz = span.load(dy + i) * slope<A>(value * gate);
          span.store(sums + c, span.load(sums + c) + dz * value);
          add(da + i, op.accumulate_a, dz * gate, span);
        });
    });
    for (long n = 0; n < op.batch; n++)
      for (long c = 0; c < channels; c++) {
        double total = 0;
        for (long chunk = 0; chunk < chunks; chunk++) total += partial[(n * chunks + chunk) * channels + c];
        dgates[n * channels + c] = static_cast<float>(total);
      }
    free(partial);
  });
}

void copy_channels(const CopyChannels& op, const Memory& memory) {
  const float* x = memory.at(op.x) + op.x_start;
  float* y = memory.at(op.y) + op.y_start;
  for_each(op.rows, [&](long row) {
    for_vectors(0, op.count, [&](long c, auto span) {
      float* to = y + row * op.y_channels + c;
      const Vector v = span.load(x + row * op.x_channels + c);
      span.store(to, op.accumulate ? span.load(to) + v : v);
    });
  });
}

void dropout(const Dropout& op, const Memory& memory) {
  const float* x = memory.at(op.x);
  float* y = memory.at(op.y);
  const float* given = static_cast<const float*>(memory.externals[op.seed].data);
  const std::uint32_t seed = mixed(static_cast<std::uint32_t>(static_cast<std::int64_t>(given[0])), op.stream);
  const bool active = given[1] != 0;
  const float scale = active ? 1 / (1 - op.rate) : 1;
  const double limit = active ? op.rate * 4294967296.0 : 0;
  for_each(op.count, [&](long i) {
    const bool kept = mixed(static_cast<std::uint32_t>(i), seed) >= limit;
    const float v = kept ? x[i] * scale : 0;
    y[i] = op.accumulate ? y[i] + v : v;
  });
}

}  // namespace mn::MN_ISA
