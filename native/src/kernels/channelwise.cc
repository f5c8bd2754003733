// Convolutions of each channel by itself. Vectors run over channels; several output columns are kept in
// registers so that an input column is loaded once for all kernel columns. Columns beyond the border read from
// a row of zeros through a table of pointers, so that no inner loop has a branch. Kernels over frames alone
// walk along time at fixed positions instead, which keeps their rows in the first cache.
#include <stdlib.h>

#include "channelwise.h"

namespace mn::MN_ISA {
namespace {

constexpr float infinity = __builtin_inff();
constexpr long cached_bytes = 320 * 1024;  // of input that a work item may keep in the second cache

struct Row {
  const float* const* lines;  // input rows of the valid (t, h) taps, [count]
  const float* const* weights;  // weights [kw, channels] of the same taps
  long count;
  float* y;  // output row
  const float* bias;
  float* sums;  // of the row's columns, or null
  long channels;
  bool accumulate;
  float low, high;  // what is computed in registers is clamped to: every activation but those with exponentials
};

// `Columns` neighbouring output columns, reading input columns [first, first + (Columns − 1) · Stride + Kernel)
// of each line; `column_at` gives the pointer of an input column.
template <int Kernel, int Stride, int Columns, class ColumnAt>
inline void compute_columns(const Row& row, long output, ColumnAt column_at) {
  const long channels = row.channels;
  for_vectors(0, channels, [&](long c, auto span) {
    Vector sums[Columns] = {};
    for (long line = 0; line < row.count; line++) {
      const float* weights = row.weights[line] + c;
      Vector taps[Kernel];
#pragma GCC unroll 8
      for (int k = 0; k < Kernel; k++) taps[k] = span.load(weights + k * channels);
#pragma GCC unroll 16
      for (int i = 0; i < (Columns - 1) * Stride + Kernel; i++) {
        const Vector x = span.load(column_at(line, i) + c);
#pragma GCC unroll 8
        for (int k = 0; k < Kernel; k++) {
          const int o = (i - k) / Stride;
          if (i - k >= 0 && (i - k) % Stride == 0 && o < Columns) sums[o] += x * taps[k];
        }
      }
    }
    const Vector bias = row.bias ? span.load(row.bias + c) : Vector{};
    const Vector low = splat(row.low), high = splat(row.high);
    Vector total{};
#pragma GCC unroll 16
    for (int o = 0; o < Columns; o++) {
      float* to = row.y + (output + o) * channels + c;
      Vector y = sums[o] + bias;
      if (row.accumulate) y += span.load(to);
      y = min(high, max(low, y));  // in this order, which lets NaN through
      span.store(to, y);
      total += y;
    }
    if (row.sums) span.store(row.sums + c, output == 0 ? total : span.load(row.sums + c) + total);
  });
}

template <int Kernel, int Stride>
void compute_row(const Row& row, const Channelwise& op, const float* zeros) {
  constexpr int columns = Stride == 1 ? 6 : 4;
  const long in_width = op.in.width, padding = op.window.padding[2], channels = op.channels;
  const auto any = [&](auto size, long o) {
    constexpr int Columns = decltype(size)::value;
    const long first = o * Stride - padding;
    constexpr int reads = (Columns - 1) * Stride + Kernel;
    if (first >= 0 && first + reads <= in_width) {
      compute_columns<Kernel, Stride, Columns>(
          row, o, [&](long line, int i) { return row.lines[line] + (first + i) * channels; });
      return;
    }
    bool inside[reads];
    for (int i = 0; i < reads; i++) inside[i] = first + i >= 0 && first + i < in_width;
    const float* table[64][reads];
    for (long line = 0; line < row.count; line++)
      for (int i = 0; i < reads; i++) table[line][i] = inside[i] ? row.lines[line] + (first + i) * channels : zeros;
    compute_columns<Kernel, Stride, Columns>(row, o, [&](long line, int i) { return table[line][i]; });
  };
  long o = 0;
  for (; o + columns <= op.out.width; o += columns) any(Constant<columns>{}, o);
  for (; o + 2 <= op.out.width; o += 2) any(Constant<2>{}, o);
  for (; o < op.out.width; o++) any(Constant<1>{}, o);
}

// The gradient of a 3-wide kernel at stride 2 with padding 1: `Pairs` pairs of neighbouring columns, of which the
// even one sees the middle tap of one gradient and the odd one the outer taps of two.
template <int Pairs, class ColumnAt>
inline void compute_pairs(const Row& row, long first, long width, ColumnAt column_at) {
  const long channels = row.channels;
  for_vectors(0, channels, [&](long c, auto span) {
    Vector even[Pairs] = {}, odd[Pairs] = {};
    for (long line = 0; line < row.count; line++) {
      const float* weights = row.weights[line] + c;
      const Vector left = span.load(weights), middle = span.load(weights + channels), right = span.load(weights + 2 * channels);
      Vector here = span.load(column_at(line, 0) + c);
#pragma GCC unroll 4
      for (int p = 0; p < Pairs; p++) {
        const Vector next = span.load(column_at(line, p + 1) + c);
        even[p] += here * middle;
        odd[p] += next * left + here * right;
        here = next;
      }
    }
    for (int p = 0; p < Pairs; p++) {
      float* to = row.y + (first + 2 * p) * channels + c;
      span.store(to, row.accumulate ? even[p] + span.load(to) : even[p]);
      if (first + 2 * p + 1 == width) break;
      to += channels;
      span.store(to, row.accumulate ? odd[p] + span.load(to) : odd[p]);
    }
  });
}

void compute_row_of_pairs(const Row& row, const Channelwise& op, const float* zeros) {
  const long channels = op.channels, width = op.out.width, gradients = op.in.width;
  const auto any = [&](auto size, long first) {
    constexpr int Pairs = decltype(size)::value;
    const long start = first / 2;
    compute_pairs<Pairs>(row, first, width, [&](long line, int i) {
      return start + i < gradients ? row.lines[line] + (start + i) * channels : zeros;
    });
  };
  long first = 0;
  for (; first + 8 <= width; first += 8) any(Constant<4>{}, first);
  for (; first < width; first += 2) any(Constant<1>{}, first);
}

// Any kernel and stride, and the gradient with respect to the input: one column at a time, tap by tap.
void compute_row_generally(const Row& row, const Channelwise& op) {
  const Window& w = op.window;
  const long channels = op.channels;
  for (long o = 0; o < op.out.width; o++) {
    float* to = row.y + o * channels;
    for_vectors(0, channels, [&](long c, auto span) {
      Vector y = row.accumulate ? span.load(to + c) : Vector{};
      for (long k = 0; k < w.kernel[2]; k++) {
        long i = o * w.stride[2] - w.padding[2] + k;
        if (op.transposed) {
          const long scaled = o + w.padding[2] - k;
          if (scaled < 0 || scaled % w.stride[2] != 0) continue;
          i = scaled / w.stride[2];
        }
        if (i < 0 || i >= op.in.width) continue;
        for (long line = 0; line < row.count; line++)
          y += span.load(row.lines[line] + i * channels + c) * span.load(row.weights[line] + k * channels + c);
      }
      span.store(to + c, y);
    });
  }
}

// Bias, activation and sums of an output row that is still in the first cache.
template <int A>
void finish_row(const Row& row, long width) {
  for_vectors(0, row.channels, [&](long c, auto span) {
    const Vector bias = row.bias ? span.load(row.bias + c) : Vector{};
    Vector total{};
    for (long o = 0; o < width; o++) {
      float* to = row.y + o * row.channels + c;
      const Vector y = activate<A>(span.load(to) + bias);
      span.store(to, y);
      total += y;
    }
    if (row.sums) span.store(row.sums + c, total);
  });
}

// Whether compute_row finishes the row in registers.
inline bool finishes(const Channelwise& op, long taps) {
  const Window& w = op.window;
  const bool kernel = (w.kernel[2] == 3 && w.stride[2] <= 2) || ((w.kernel[2] == 1 || w.kernel[2] == 5) && w.stride[2] == 1);
  return kernel && !op.transposed && taps <= 64 && op.activation != swish && op.activation != sigmoid_;
}

void compute_line(const Row& row, const Channelwise& op, const float* zeros) {
  const Window& w = op.window;
  if (op.transposed && w.kernel[2] == 3 && w.stride[2] == 2 && w.padding[2] == 1) return compute_row_of_pairs(row, op, zeros);
  if (!op.transposed && row.count <= 64) {
    if (w.kernel[2] == 3 && w.stride[2] == 1) return compute_row<3, 1>(row, op, zeros);
    if (w.kernel[2] == 3 && w.stride[2] == 2) return compute_row<3, 2>(row, op, zeros);
    if (w.kernel[2] == 1 && w.stride[2] == 1) return compute_row<1, 1>(row, op, zeros);
    if (w.kernel[2] == 5 && w.stride[2] == 1) return compute_row<5, 1>(row, op, zeros);
  }
  compute_row_generally(row, op);
}

// The input position on one axis that tap k of output o sees, or -1.
inline long seen(const Channelwise& op, int axis, long o, long k, long extent) {
  const Window& w = op.window;
  long i = o * w.stride[axis] - w.padding[axis] + k;
  if (op.transposed) {
    const long scaled = o + w.padding[axis] - k;
    if (scaled < 0 || scaled % w.stride[axis] != 0) return -1;
    i = scaled / w.stride[axis];
  }
  return i >= 0 && i < extent ? i : -1;
}

// Kernels over frames alone at stride 1: for a few positions at a time, all frames in turn.
template <int A>
void convolve_frames(const Channelwise& op, const Memory& memory) {
  constexpr long positions = 48;
  const float* x = memory.at(op.x);
  const float* weights = memory.at(op.weights);
  const float* bias = memory.at(op.bias);
  float* y = memory.at(op.y);
  const long channels = op.channels, frame = op.in.frame() * channels;
  const long blocks = (op.in.frame() + positions - 1) / positions;
  const long kernel = op.window.kernel[0], padding = op.window.padding[0];
  for_each(op.in.batch * blocks, [&](long item) {
    const long start = item % blocks * positions * channels;
    const long end = smaller(start + positions * channels, frame);
    const float* from = x + item / blocks * op.in.frames * frame;
    float* to = y + item / blocks * op.out.frames * frame;
    for (long t = 0; t < op.out.frames; t++)
      for (long base = start; base < end; base += channels)
        for_vectors(0, channels, [&](long c, auto span) {
          Vector sum = bias ? span.load(bias + c) : Vector{};
          for (long k = 0; k < kernel; k++) {
            const long i = op.transposed ? t + padding - k : t - padding + k;
            if (i < 0 || i >= op.in.frames) continue;
            sum += span.load(from + i * frame + base + c) * span.load(weights + k * channels + c);
          }
          sum = activate<A>(sum);
          float* out = to + t * frame + base + c;
          if (op.accumulate) sum += span.load(out);
          span.store(out, sum);
        });
  });
}

}  // namespace

void channelwise(const Channelwise& op, const Memory& memory) {
  const Window& w = op.window;
  const bool frames_alone = w.kernel[1] == 1 && w.kernel[2] == 1 && w.stride[0] == 1 && w.stride[1] == 1 &&
                            w.stride[2] == 1 && w.padding[1] == 0 && w.padding[2] == 0;
  if (frames_alone && op.sums == nowhere) {
    return with_activation(op.activation, [&](auto a) { convolve_frames<decltype(a)::value>(op, memory); });
  }
  const long channels = op.channels;
  const long line_limit = w.kernel[0] * w.kernel[1];
  const long row_stride = op.transposed ? 1 : w.stride[1];  // of input rows
  const Blocks blocks(op.in, op.out, w, row_stride, channels, cached_bytes, 8 * team_size());
  const float* x = memory.at(op.x);
  const float* weights = memory.at(op.weights);
  float* y = memory.at(op.y);
  float* all_sums = memory.at(op.sums);
  // A stride-1 gradient with respect to the input is a convolution with the kernel turned round.
  Channelwise turned = op;
  const bool turn = op.transposed && w.stride[0] * w.stride[1] * w.stride[2] == 1;
  float* turned_weights = nullptr;
  if (turn) {
    const long taps = w.taps();
    turned_weights = static_cast<float*>(malloc(static_cast<size_t>(taps * channels) * sizeof(float)));
    for (long tap = 0; tap < taps; tap++)
      for (long c = 0; c < channels; c++) turned_weights[tap * channels + c] = weights[(taps - 1 - tap) * channels + c];
    turned.transposed = false;
    for (int axis = 0; axis < 3; axis++) turned.window.padding[axis] = w.kernel[axis] - 1 - w.padding[axis];
    weights = turned_weights;
  }
  const Channelwise& use = turned;

  const long in_line = op.in.width * channels, in_frame = op.in.height * in_line;
  const float* end = x + op.in.batch * op.in.frames * in_frame;
  in_parallel(blocks.count(op.out), [&](Items& items) {
    float* zeros = static_cast<float*>(calloc(static_cast<size_t>(channels), sizeof(float)));
    const float** lines = static_cast<const float**>(malloc(2 * static_cast<size_t>(line_limit) * sizeof(float*)));
    const float** line_weights = lines + line_limit;
    for (long item; (item = items.next()) >= 0;) {
      blocks.for_rows(op.out, item, [&](long n, long t, long h) {
        long count = 0;
        for (long kt = 0; kt < w.kernel[0]; kt++) {
          const long it = seen(use, 0, t, kt, op.in.frames);
          if (it < 0) continue;
          for (long kh = 0; kh < w.kernel[1]; kh++) {
            const long ih = seen(use, 1, h, kh, op.in.height);
            if (ih < 0) continue;
            lines[count] = x + (n * op.in.frames + it) * in_frame + ih * in_line;
            line_weights[count++] = weights + (kt * w.kernel[1] + kh) * w.kernel[2] * channels;
          }
        }
        if (count > 0) {
          const float* next = lines[count - 1] + in_frame - (row_stride - 1) * in_line;
          if (next + row_stride * in_line <= end) prefetch(next, row_stride * in_line);
        }
        const long line = (n * op.out.frames + t) * op.out.height + h;
        float* sums = all_sums ? all_sums + line * channels : nullptr;
        float* to = y + line * op.out.width * channels;
        if (finishes(use, line_limit)) {
          const Row row{lines, line_weights, count, to, memory.at(op.bias), sums, channels, op.accumulate,
                        op.activation == none ? -infinity : 0, op.activation == relu6 ? 6 : infinity};
          return compute_line(row, use, zeros);
        }
        Row row{lines, line_weights, count, to, nullptr, nullptr, channels, op.accumulate, -infinity, infinity};
        compute_line(row, use, zeros);
        row.bias = memory.at(op.bias);
        row.sums = sums;
        if (row.bias || row.sums || op.activation != none)
          with_activation(op.activation, [&](auto a) { finish_row<decltype(a)::value>(row, op.out.width); });
      });
    }
    free(zeros);
    free(lines);
  });
  free(turned_weights);
}

}  // namespace mn::MN_ISA
