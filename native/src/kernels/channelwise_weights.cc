// The gradient of channelwise weights: for each tap and channel the sum over positions of input times the
// gradient of the output. Blocks of rows are shared out among work items whose partial sums are added in order.
#include <stdlib.h>

#include "channelwise.h"
#include "partials.h"

namespace mn::MN_ISA {
namespace {

constexpr long cached_bytes = 200 * 1024;  // of input that a block may keep in the second cache
constexpr long passing_bytes = 32 * 1024;  // of input and gradients that pass by for each vector of channels: the first cache

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

// Columns [begin, end) of one output row against `Rows` input rows below each other, 3 taps wide, padding 1, stride 1:
// an input is loaded once for its three taps, while the gradients of three outputs pass by in registers.
template <int Rows, class Span>
inline void add_rows(const float* x, const float* dy, float* dw, long begin, long end,
                     const ChannelwiseWeightGradient& op, Span span) {
  const long channels = op.channels, width = op.in.width;
  Vector sums[Rows][3];
#pragma GCC unroll 3
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) sums[r][k] = span.load(dw + (3 * r + k) * channels);
  Vector before = begin > 0 ? span.load(dy + (begin - 1) * channels) : Vector{}, here = span.load(dy + begin * channels);
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
  const long whole = end < width ? end : width - 1;
#pragma GCC unroll 3
  for (long i = begin; i < whole; i++) add(i, span.load(dy + (i + 1) * channels));
  if (end == width) add(width - 1, Vector{});
#pragma GCC unroll 3
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) span.store(dw + (3 * r + k) * channels, sums[r][k]);
}

// The same at stride 2 for output columns [begin, end): neighbours share an input column.
template <int Rows, class Span>
inline void add_rows_apart(const float* x, const float* dy, float* dw, long begin, long end,
                     const ChannelwiseWeightGradient& op, Span span) {
  const long channels = op.channels, width = op.in.width;
  Vector sums[Rows][3], before[Rows];
#pragma GCC unroll 3
  for (int r = 0; r < Rows; r++) {
    before[r] = begin > 0 ? span.load(x + (r * width + 2 * begin - 1) * channels) : Vector{};
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) sums[r][k] = span.load(dw + (3 * r + k) * channels);
  }
  const long whole = width / 2 < end ? width / 2 : end;  // outputs that see two more columns
  for (long o = begin; o < end; o++) {
    const Vector gradient = span.load(dy + o * channels);
#pragma GCC unroll 3
    for (int r = 0; r < Rows; r++) {
      const float* from = x + (r * width + 2 * o) * channels;
      const Vector here = span.load(from), after = o < whole ? span.load(from + channels) : Vector{};
      sums[r][0] += before[r] * gradient;
      sums[r][1] += here * gradient;
      sums[r][2] += after * gradient;
      before[r] = after;
    }
  }
#pragma GCC unroll 3
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) span.store(dw + (3 * r + k) * channels, sums[r][k]);
}

template <int Rows>
void add_lines(const float* x, const float* dy, float* dw, long begin, long end, const ChannelwiseWeightGradient& op) {
  for_vectors(0, op.channels, [&](long c, auto span) {
    if (op.window.stride[2] == 1) add_rows<Rows>(x + c, dy + c, dw + c, begin, end, op, span);
    else add_rows_apart<Rows>(x + c, dy + c, dw + c, begin, end, op, span);
  });
}

}  // namespace

void channelwise_weight_gradient(const ChannelwiseWeightGradient& op, const Memory& memory) {
  const Window& w = op.window;
  const float* x = memory.at(op.x);
  const float* dy = memory.at(op.dy);
  float* dw = memory.at(op.dw);
  const long channels = op.channels;
  const long size = w.taps() * channels;
  const bool slides = w.kernel[1] == 3 && w.kernel[2] == 3 && w.stride[1] == w.stride[2] && w.stride[1] <= 2 &&
                      w.padding[1] == 1 && w.padding[2] == 1;
  const long line = op.in.width * channels, out_line = op.out.width * channels;
  const long columns = larger(8, passing_bytes / ((3 * w.stride[2] + 1) * channels * 4));
  const long wanted = 4 * team_size();
  const Blocks blocks(op.in, op.out, w, w.stride[1], channels, cached_bytes, wanted);
  const long count = blocks.count(op.out), items = smaller(count, wanted);
  float* partial = static_cast<float*>(calloc(static_cast<size_t>(items * size), sizeof(float)));
  const auto add_frame = [&](float* sums, const float* gradients, long n, long t, long h, long kt) {
    const long it = t * w.stride[0] - w.padding[0] + kt;
    if (it < 0 || it >= op.in.frames) return;
    const float* frame = x + (n * op.in.frames + it) * op.in.height * line;
    sums += kt * w.kernel[1] * w.kernel[2] * channels;
    if (slides) {
      const long top = h * w.stride[1] - 1;
      const long first = top < 0 ? 1 : 0, last = top + 2 < op.in.height ? 2 : 1;
      const float* from = frame + (top + first) * line;
      float* to = sums + first * 3 * channels;
      const auto add = last - first == 2 ? add_lines<3> : last - first == 1 ? add_lines<2> : add_lines<1>;
      for (long begin = 0; begin < op.out.width; begin += columns)
        add(from, gradients, to, begin, smaller(begin + columns, op.out.width), op);
      return;
    }
    for (long kh = 0; kh < w.kernel[1]; kh++) {
      const long ih = h * w.stride[1] - w.padding[1] + kh;
      if (ih < 0 || ih >= op.in.height) continue;
      const float* from = frame + ih * line;
      float* to = sums + kh * w.kernel[2] * channels;
      for_vectors(0, channels, [&](long c, auto span) {
        if (w.kernel[2] == 3) add_row<3>(from + c, gradients + c, to + c, op, span);
        else if (w.kernel[2] == 1) add_row<1>(from + c, gradients + c, to + c, op, span);
        else add_row_generally(from + c, gradients + c, to + c, op, span);
      });
    }
  };
  for_each(items, [&](long item) {
    for (long block = count * item / items; block < count * (item + 1) / items; block++)
      blocks.for_rows(op.out, block, [&](long n, long t, long h) {
        const float* gradients = dy + ((n * op.out.frames + t) * op.out.height + h) * out_line;
        const long it = t * w.stride[0] - w.padding[0] + w.kernel[0], ih = h * w.stride[1] - w.padding[1] + w.kernel[1] - w.stride[1];
        if (it >= 0 && it < op.in.frames && ih >= 0)
          prefetch(x + ((n * op.in.frames + it) * op.in.height + ih) * line, smaller(w.stride[1], op.in.height - ih) * line);
        if (t + 1 < op.out.frames) prefetch(gradients + op.out.height * out_line, out_line);
        for (long kt = 0; kt < w.kernel[0]; kt++) add_frame(partial + item * size, gradients, n, t, h, kt);
      });
  });
  add_partials(partial, items, size, dw);
  free(partial);
}

}  // namespace mn::MN_ISA
