// The gradient of channelwise weights: for each tap and channel the sum over positions of input times the
// gradient of the output. Frames are shared out among work items whose partial sums are added in order.
#include <stdlib.h>

#include "activation.h"

namespace mn::MN_ISA {
namespace {

// One output row against one input row: adds to the sums of `Kernel` neighbouring taps.
template <int Kernel, class Span>
inline void add_row(const float* x, const float* dy, float* dw, const ChannelwiseWeightGradient& op, Span span) {
  const long channels = op.channels, stride = op.window.stride[2], padding = op.window.padding[2];
  const long width = op.in.width;
  Vector even[Kernel] = {}, odd[Kernel] = {};
  const long inner_begin = (padding + stride - 1) / stride;
  long inner_end = (width + padding - Kernel) / stride + 1;
  if (width + padding < Kernel) inner_end = 0;
  if (inner_end > op.out.width) inner_end = op.out.width;
  const auto border = [&](long o) {
    const Vector gradient = span.load(dy + o * channels);
    for (int k = 0; k < Kernel; k++) {
      const long i = o * stride - padding + k;
      if (i >= 0 && i < width) even[k] += gradient * span.load(x + i * channels);
    }
  };
  long o = 0;
  for (; o < inner_begin && o < op.out.width; o++) border(o);
  for (; o + 2 <= inner_end; o += 2) {
    const Vector first = span.load(dy + o * channels), second = span.load(dy + (o + 1) * channels);
    const float* from = x + (o * stride - padding) * channels;
#pragma GCC unroll 8
    for (int k = 0; k < Kernel; k++) {
      even[k] += first * span.load(from + k * channels);
      odd[k] += second * span.load(from + (k + stride) * channels);
    }
  }
  for (; o < op.out.width; o++) border(o);
#pragma GCC unroll 8
  for (int k = 0; k < Kernel; k++) span.store(dw + k * channels, span.load(dw + k * channels) + even[k] + odd[k]);
}

template <class Span>
void add_row_generally(const float* x, const float* dy, float* dw, const ChannelwiseWeightGradient& op, Span span) {
  for (long k = 0; k < op.window.kernel[2]; k++) {
    Vector total{};
    for (long o = 0; o < op.out.width; o++) {
      const long i = o * op.window.stride[2] - op.window.padding[2] + k;
      if (i >= 0 && i < op.in.width) total += span.load(dy + o * op.channels) * span.load(x + i * op.channels);
    }
    span.store(dw + k * op.channels, span.load(dw + k * op.channels) + total);
  }
}

// One output row against `Rows` input rows below each other, 3 taps wide, stride and padding 1: an input is loaded
// once for its three taps, while the gradients of three outputs pass by in registers.
template <int Rows, class Span>
inline void add_rows(const float* x, const float* dy, float* dw, const ChannelwiseWeightGradient& op, Span span) {
  const long channels = op.channels, width = op.in.width;
  Vector sums[Rows][3];
#pragma GCC unroll 3
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) sums[r][k] = span.load(dw + (3 * r + k) * channels);
  Vector before{}, here = span.load(dy);
  const auto add = [&](long i, Vector after) {
#pragma GCC unroll 3
    for (int r = 0; r < Rows; r++) {
      const Vector value = span.load(x + (r * width + i) * channels);
      sums[r][0] += value * after;
      sums[r][1] += value * here;
      sums[r][2] += value * before;
    }
    before = here;
    here = after;
  };
#pragma GCC unroll 3
  for (long i = 0; i + 1 < width; i++) add(i, span.load(dy + (i + 1) * channels));
  add(width - 1, Vector{});
#pragma GCC unroll 3
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) span.store(dw + (3 * r + k) * channels, sums[r][k]);
}

}  // namespace

void channelwise_weight_gradient(const ChannelwiseWeightGradient& op, const Memory& memory) {
  const Window& w = op.window;
  const float* x = memory.at(op.x);
  const float* dy = memory.at(op.dy);
  float* dw = memory.at(op.dw);
  const long channels = op.channels;
  const long size = w.taps() * channels;
  const long rows = op.out.batch * op.out.frames * op.out.height;
  const bool slides = w.kernel[1] == 3 && w.kernel[2] == 3 && w.stride[1] == 1 && w.stride[2] == 1 && w.padding[1] == 1 &&
                      w.padding[2] == 1;
  const long wanted = 4 * team_size();
  const long items = rows < wanted ? rows : wanted;
  float* partial = static_cast<float*>(calloc(static_cast<size_t>(items * size), sizeof(float)));
  for_each(items, [&](long item) {
    float* sums = partial + item * size;
    for (long row = rows * item / items; row < rows * (item + 1) / items; row++) {
      const long h = row % op.out.height, t = row / op.out.height % op.out.frames;
      const long n = row / op.out.height / op.out.frames;
      for (long kt = 0; kt < w.kernel[0]; kt++) {
        const long it = t * w.stride[0] - w.padding[0] + kt;
        if (it < 0 || it >= op.in.frames) continue;
        if (slides) {
          const long first = h == 0 ? 1 : 0, last = h == op.in.height - 1 ? 1 : 2;
          const float* from = x + ((n * op.in.frames + it) * op.in.height + h - 1 + first) * op.in.width * channels;
          float* to = sums + (3 * kt + first) * 3 * channels;
          for_vectors(0, channels, [&](long c, auto span) {
            const float* gradient = dy + row * op.out.width * channels + c;
            if (last - first == 2) add_rows<3>(from + c, gradient, to + c, op, span);
            else if (last - first == 1) add_rows<2>(from + c, gradient, to + c, op, span);
            else add_rows<1>(from + c, gradient, to + c, op, span);
          });
          continue;
        }
        for (long kh = 0; kh < w.kernel[1]; kh++) {
          const long ih = h * w.stride[1] - w.padding[1] + kh;
          if (ih < 0 || ih >= op.in.height) continue;
          const float* from = x + ((n * op.in.frames + it) * op.in.height + ih) * op.in.width * channels;
          float* to = sums + (kt * w.kernel[1] + kh) * w.kernel[2] * channels;
          for_vectors(0, channels, [&](long c, auto span) {
            const float* gradient = dy + row * op.out.width * channels + c;
            if (w.kernel[2] == 3) add_row<3>(from + c, gradient, to + c, op, span);
            else if (w.kernel[2] == 1) add_row<1>(from + c, gradient, to + c, op, span);
            else add_row_generally(from + c, gradient, to + c, op, span);
          });
        }
      }
    }
  });
  for_each(size, [&](long i) {
    float total = 0;
    for (long item = 0; item < items; item++) total += partial[item * size + i];
    dw[i] = total;
  });
  free(partial);
}

}  // namespace mn::MN_ISA
