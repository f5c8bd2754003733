// Batch norm with the statistics of the batch: moments, normalisation with its activation, and the gradient.
// Rows are shared out in fixed chunks whose partial results are merged in order, in double precision. Passes over the
// same values go back and forth: what one has seen last is still in a cache when the next begins.
#include <math.h>
#include <stdlib.h>

#include "activation.h"

namespace mn::MN_ISA {
namespace {

constexpr long chunk_limit = 64;

struct Chunks {
  long rows, count;
  explicit Chunks(long all) : rows(all), count(all < 4 * chunk_limit ? 1 : chunk_limit) {}
  long begin(long chunk) const { return rows * chunk / count; }
};

// Sub-sums of at most this many rows keep single-precision sums accurate.
constexpr long run_rows = 256;

struct Affine {
  float *mean, *scale, *shift;  // z = x · scale + shift
};

// z = x · scale + shift from the statistics; caller frees scale.
Affine affine_of(const float* mean, const float* variance, const float* scale, const float* shift, float epsilon,
                 long channels) {
  float* factors = static_cast<float*>(malloc(3 * static_cast<size_t>(channels) * sizeof(float)));
  Affine affine{factors + 2 * channels, factors, factors + channels};
  for (long c = 0; c < channels; c++) {
    const double factor = scale[c] / sqrt(static_cast<double>(variance[c]) + epsilon);
    affine.mean[c] = mean[c];
    affine.scale[c] = static_cast<float>(factor);
    affine.shift[c] = static_cast<float>(shift[c] - mean[c] * factor);
  }
  return affine;
}

}  // namespace

void moments(const Moments& op, const Memory& memory) {
  const float* x = memory.at(op.x);
  const long channels = op.channels;
  const Chunks chunks(op.rows);
  // Sums of x − pivot and of its square, with the first row as pivot: no cancellation for large means.
  double* partial = static_cast<double*>(calloc(static_cast<size_t>(2 * chunks.count * channels), sizeof(double)));
  in_parallel(chunks.count, [&](Items& items) {
    float* sums = static_cast<float*>(malloc(2 * static_cast<size_t>(channels) * sizeof(float)));
    float* squares = sums + channels;
    for (long item; (item = items.next()) >= 0;) {
      const long chunk = chunks.count - 1 - item;  // the convolution before wrote the last rows last
      double* to = partial + 2 * chunk * channels;
      for (long begin = chunks.begin(chunk); begin < chunks.begin(chunk + 1); begin += run_rows) {
        const long last = chunks.begin(chunk + 1);
        const long end = begin + run_rows < last ? begin + run_rows : last;
        for (long c = 0; c < 2 * channels; c++) sums[c] = 0;
        long row = begin;
        for (; row + 4 <= end; row += 4)
          for_vectors(0, channels, [&](long c, auto span) {
            const Vector pivot = span.load(x + c);
            Vector sum = span.load(sums + c), square = span.load(squares + c);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
              const Vector v = span.load(x + (row + i) * channels + c) - pivot;
              sum += v;
              square += v * v;
            }
            span.store(sums + c, sum);
            span.store(squares + c, square);
          });
        for (; row < end; row++)
          for_vectors(0, channels, [&](long c, auto span) {
            const Vector v = span.load(x + row * channels + c) - span.load(x + c);
            span.store(sums + c, span.load(sums + c) + v);
            span.store(squares + c, span.load(squares + c) + v * v);
          });
        for (long c = 0; c < channels; c++) {
          to[c] += sums[c];
          to[channels + c] += squares[c];
        }
      }
    }
    free(sums);
  });
  float* mean = memory.at(op.mean);
  float* variance = memory.at(op.variance);
  for (long c = 0; c < channels; c++) {
    double sum = 0, square = 0;
    for (long chunk = 0; chunk < chunks.count; chunk++) {
      sum += partial[2 * chunk * channels + c];
      square += partial[(2 * chunk + 1) * channels + c];
    }
    const double shifted = sum / static_cast<double>(op.rows);
    const double spread = square / static_cast<double>(op.rows) - shifted * shifted;
    mean[c] = static_cast<float>(x[c] + shifted);
    variance[c] = static_cast<float>(spread > 0 ? spread : 0);
  }
  free(partial);
}

void normalise(const Normalise& op, const Memory& memory) {
  const long channels = op.channels;
  const float* x = memory.at(op.x);
  const float* residual = memory.at(op.residual);
  float* y = memory.at(op.y);
  const Affine affine = affine_of(memory.at(op.mean), memory.at(op.variance), memory.at(op.scale), memory.at(op.shift),
                                  op.epsilon, channels);
  with_activation(op.activation, [&](auto a) {
    for_each(op.rows, [&](long row) {
      for_vectors(0, channels, [&](long c, auto span) {
        const long i = row * channels + c;
        Vector z = span.load(x + i) * span.load(affine.scale + c) + span.load(affine.shift + c);
        if (residual) z += span.load(residual + i);
        span.store(y + i, activate<decltype(a)::value>(z));
      });
    });
  });
  free(affine.scale);
}

void normalise_backward(const NormaliseBackward& op, const Memory& memory) {
  const long channels = op.channels;
  const float* x = memory.at(op.x);
  const float* residual = memory.at(op.residual);
  const float* dy = memory.at(op.dy);
  float* dx = memory.at(op.dx);
  float* dresidual = memory.at(op.dresidual);
  const float* variance = memory.at(op.variance);
  const Affine affine = affine_of(memory.at(op.mean), variance, memory.at(op.scale), memory.at(op.shift), op.epsilon, channels);
  const Chunks chunks(op.rows);
  // Per chunk: sums of dz and of dz · (x − mean).
  double* partial = static_cast<double*>(calloc(static_cast<size_t>(2 * chunks.count * channels), sizeof(double)));
  with_activation(op.activation, [&](auto a) {
    constexpr int A = decltype(a)::value;
    const auto gradient = [&](long i, long c, Vector value, auto span) {
      Vector z = value * span.load(affine.scale + c) + span.load(affine.shift + c);
      if (residual) z += span.load(residual + i);
      return span.load(dy + i) * slope<A>(z);
    };
    in_parallel(chunks.count, [&](Items& items) {
      float* sums = static_cast<float*>(malloc(2 * static_cast<size_t>(channels) * sizeof(float)));
      float* products = sums + channels;
      for (long item; (item = items.next()) >= 0;) {
        const long chunk = chunks.count - 1 - item;
        double* to = partial + 2 * chunk * channels;
        const long last = chunks.begin(chunk + 1);
        for (long begin = chunks.begin(chunk); begin < last; begin += run_rows) {
          const long end = begin + run_rows < last ? begin + run_rows : last;
          for (long c = 0; c < 2 * channels; c++) sums[c] = 0;
          for (long row = begin; row < end; row++)
            for_vectors(0, channels, [&](long c, auto span) {
              const long i = row * channels + c;
              const Vector value = span.load(x + i);
              const Vector dz = gradient(i, c, value, span);
              span.store(sums + c, span.load(sums + c) + dz);
              span.store(products + c, span.load(products + c) + dz * (value - span.load(affine.mean + c)));
              if (dresidual) span.store(dresidual + i, op.accumulate_residual ? span.load(dresidual + i) + dz : dz);
            });
          for (long c = 0; c < channels; c++) {
            to[c] += sums[c];
            to[channels + c] += products[c];
          }
        }
      }
      free(sums);
    });
    // dx = factor · (dz − mean(dz) − (x − mean) / (variance + ε) · mean(dz · (x − mean)))
    float* constants = static_cast<float*>(malloc(2 * static_cast<size_t>(channels) * sizeof(float)));
    float* slopes = constants + channels;
    for (long c = 0; c < channels; c++) {
      double sum = 0, product = 0;
      for (long chunk = 0; chunk < chunks.count; chunk++) {
        sum += partial[2 * chunk * channels + c];
        product += partial[(2 * chunk + 1) * channels + c];
      }
      const double spread = static_cast<double>(variance[c]) + op.epsilon;
      memory.at(op.dshift)[c] = static_cast<float>(sum);
      memory.at(op.dscale)[c] = static_cast<float>(product / sqrt(spread));
      const double rows = static_cast<double>(op.rows);
      constants[c] = static_cast<float>(sum / rows);
      slopes[c] = static_cast<float>(product / rows / spread);
    }
    const float* known = dresidual && !op.accumulate_residual ? dresidual : nullptr;  // dz
    for_each(op.rows, [&](long row) {
      for_vectors(0, channels, [&](long c, auto span) {
        const long i = row * channels + c;
        const Vector value = span.load(x + i);
        const Vector dz = known ? span.load(known + i) : gradient(i, c, value, span);
        const Vector centred = dz - span.load(constants + c) - (value - span.load(affine.mean + c)) * span.load(slopes + c);
        span.store(dx + i, centred * span.load(affine.scale + c));
      });
    });
    free(constants);
  });
  free(affine.scale);
  free(partial);
}

}  // namespace mn::MN_ISA
