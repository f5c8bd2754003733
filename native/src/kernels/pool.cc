// Pooling: maxima, means over windows, adaptive means (resampling); with their gradients.
#include <stdlib.h>

#include "activation.h"

namespace mn::MN_ISA {
namespace {

inline long position(const Extent& e, long n, long t, long h, long w) {
  return ((n * e.frames + t) * e.height + h) * e.width + w;
}

// Calls visit(input position) for every position of the window of output (t, h, w) that is inside, in order.
template <class Visit>
inline void for_window(const Window& window, const Extent& in, long n, long t, long h, long w, Visit visit) {
  for (long kt = 0; kt < window.kernel[0]; kt++) {
    const long it = t * window.stride[0] - window.padding[0] + kt;
    if (it < 0 || it >= in.frames) continue;
    for (long kh = 0; kh < window.kernel[1]; kh++) {
      const long ih = h * window.stride[1] - window.padding[1] + kh;
      if (ih < 0 || ih >= in.height) continue;
      for (long kw = 0; kw < window.kernel[2]; kw++) {
        const long iw = w * window.stride[2] - window.padding[2] + kw;
        if (iw >= 0 && iw < in.width) visit(position(in, n, it, ih, iw));
      }
    }
  }
}

}  // namespace

void max_pool(const MaxPool& op, const Memory& memory) {
  const float* x = memory.at(op.x);
  float* y = memory.at(op.y);
  const Extent &in = op.in, &out = op.out;
  const long channels = op.channels;
  for_each(out.batch * out.frames * out.height, [&](long line) {
    const long h = line % out.height, t = line / out.height % out.frames, n = line / out.height / out.frames;
    for (long w = 0; w < out.width; w++)
      for_vectors(0, channels, [&](long c, auto span) {
        Vector largest = splat(-3.4e38f);
        for_window(op.window, in, n, t, h, w, [&](long p) { largest = max(span.load(x + p * channels + c), largest); });
        span.store(y + (line * out.width + w) * channels + c, largest);
      });
  });
}

// The gradient goes to the first of equal maxima. Windows overlap, so a thread takes whole samples' channels.
void max_pool_backward(const MaxPool& op, const Memory& memory) {
  const float* x = memory.at(op.x);
  const float* dy = memory.at(op.dy);
  float* dx = memory.at(op.dx);
  const Extent &in = op.in, &out = op.out;
  const long channels = op.channels;
  // Windows over several frames overlap between frames: then samples are the units of work, else frames.
  const bool flat = op.window.kernel[0] == 1 && op.window.stride[0] == 1 && op.window.padding[0] == 0;
  const long units = flat ? out.batch * out.frames : out.batch;
  const long frames = flat ? 1 : out.frames;
  const long unit_values = (flat ? in.frame() : in.sample()) * channels;
  for_each(units, [&](long unit) {
    const long n = flat ? unit / out.frames : unit;
    if (!op.accumulate)
      for (long i = 0; i < unit_values; i++) dx[unit * unit_values + i] = 0;
    for (long frame = 0; frame < frames; frame++) {
      const long t = flat ? unit % out.frames : frame;
      for (long h = 0; h < out.height; h++)
        for (long w = 0; w < out.width; w++) {
          const float* gradient = dy + position(out, n, t, h, w) * channels;
          for_vectors(0, channels, [&](long c, auto span) {
            Vector largest = splat(-__builtin_inff());
            IntVector at{}, place{};  // of the largest so far, and of the one visited, within the window
            for_window(op.window, in, n, t, h, w, [&](long p) {
              const Vector value = span.load(x + p * channels + c);
              const IntVector above = value > largest;
              largest = above ? value : largest;
              at = above ? place : at;
              place += 1;
            });
            const Vector passed = span.load(gradient + c);
            place = IntVector{};
            for_window(op.window, in, n, t, h, w, [&](long p) {
              float* to = dx + p * channels + c;
              span.store(to, span.load(to) + (at == place ? passed : Vector{}));
              place += 1;
            });
          });
        }
    }
  });
}

void average_pool(const AveragePool& op, const Memory& memory) {
  const Extent &in = op.in, &out = op.out;
  const long channels = op.channels, window = op.window.taps();
  float* x = memory.at(op.x);
  float* y = memory.at(op.y);
  const float factor = 1 / static_cast<float>(window);
  const bool whole = window == in.sample();
  if (op.backward) {
    if (whole) {
      for_each(in.positions(), [&](long p) {
        for_vectors(0, channels, [&](long c, auto span) {
          const Vector v = span.load(y + p / in.sample() * channels + c) * splat(factor);
          float* to = x + p * channels + c;
          span.store(to, op.accumulate ? span.load(to) + v : v);
        });
      });
      return;
    }
    if (!op.accumulate)
      for (long i = 0; i < in.positions() * channels; i++) x[i] = 0;
    for_each(out.batch, [&](long n) {
      for (long t = 0; t < out.frames; t++)
        for (long h = 0; h < out.height; h++)
          for (long w = 0; w < out.width; w++)
            for_window(op.window, in, n, t, h, w, [&](long p) {
              for (long c = 0; c < channels; c++) x[p * channels + c] += factor * y[position(out, n, t, h, w) * channels + c];
            });
    });
    return;
  }
  if (whole) {
    // Chunks of positions, added in order.
    const long chunks = in.sample() < 256 ? 1 : 32;
    float* partial = static_cast<float*>(calloc(static_cast<size_t>(in.batch * chunks * channels), sizeof(float)));
    for_each(in.batch * chunks, [&](long item) {
      const long n = item / chunks, chunk = item % chunks;
      float* sums = partial + item * channels;
      for (long p = in.sample() * chunk / chunks; p < in.sample() * (chunk + 1) / chunks; p++)
        for_vectors(0, channels, [&](long c, auto span) {
          span.store(sums + c, span.load(sums + c) + span.load(x + (n * in.sample() + p) * channels + c));
        });
    });
    for (long n = 0; n < in.batch; n++)
      for (long c = 0; c < channels; c++) {
        double total = 0;
        for (long chunk = 0; chunk < chunks; chunk++) total += partial[(n * chunks + chunk) * channels + c];
        y[n * channels + c] = static_cast<float>(total / static_cast<double>(window));
      }
    free(partial);
    return;
  }
  for_each(out.batch * out.frames * out.height, [&](long line) {
    const long h = line % out.height, t = line / out.height % out.frames, n = line / out.height / out.frames;
    for (long w = 0; w < out.width; w++)
      for_vectors(0, channels, [&](long c, auto span) {
        Vector total{};
        for_window(op.window, in, n, t, h, w, [&](long p) { total += span.load(x + p * channels + c); });
        span.store(y + (line * out.width + w) * channels + c, total * splat(factor));
      });
  });
}

void reduce_parts(const ReduceParts& op, const Memory& memory) {
  const float* x = memory.at(op.x);
  float* y = memory.at(op.y);
  for (long n = 0; n < op.batch; n++)
    for (long c = 0; c < op.channels; c++) {
      double total = 0;
      for (long part = 0; part < op.parts; part++) total += x[(n * op.parts + part) * op.channels + c];
      y[n * op.channels + c] = static_cast<float>(total * op.factor);
    }
}

// Output i of n averages the inputs from ⌊i·from/n⌋ to ⌈(i+1)·from/n⌉ on each axis.
void resample(const Resample& op, const Memory& memory) {
  const Extent &in = op.in, &out = op.out;
  float* x = memory.at(op.x);
  float* y = memory.at(op.y);
  const long channels = op.channels;
  const auto begin = [](long i, long from, long to) { return i * from / to; };
  const auto end = [](long i, long from, long to) { return ((i + 1) * from + to - 1) / to; };
  if (op.backward && !op.accumulate)
    for (long i = 0; i < in.positions() * channels; i++) x[i] = 0;
  // Backward, windows may overlap: samples are the units of work.
  const long units = op.backward ? out.batch : out.batch * out.frames;
  for_each(units, [&](long unit) {
    const long n = op.backward ? unit : unit / out.frames;
    const long first = op.backward ? 0 : unit % out.frames;
    for (long t = first; t < (op.backward ? out.frames : first + 1); t++)
      for (long h = 0; h < out.height; h++)
        for (long w = 0; w < out.width; w++) {
          const long t0 = begin(t, in.frames, out.frames), t1 = end(t, in.frames, out.frames);
          const long h0 = begin(h, in.height, out.height), h1 = end(h, in.height, out.height);
          const long w0 = begin(w, in.width, out.width), w1 = end(w, in.width, out.width);
          const Vector factor = splat(1 / static_cast<float>((t1 - t0) * (h1 - h0) * (w1 - w0)));
          float* at = y + position(out, n, t, h, w) * channels;
          for_vectors(0, channels, [&](long c, auto span) {
            Vector total{};
            for (long it = t0; it < t1; it++)
              for (long ih = h0; ih < h1; ih++)
                for (long iw = w0; iw < w1; iw++) {
                  float* from = x + position(in, n, it, ih, iw) * channels + c;
                  if (op.backward) span.store(from, span.load(from) + span.load(at + c) * factor);
                  else total += span.load(from);
                }
            if (!op.backward) span.store(at + c, total * factor);
          });
        }
  });
}

}  // namespace mn::MN_ISA
