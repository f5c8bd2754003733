// The gradient of dense weights: for each tap the product of the transposed input with the gradient of the
// output. Blocks of positions of the latter are packed into panels; input rows are read in place through a table of
// pointers, which costs less than packing them for every tap.
#include <stdlib.h>
#include <string.h>

#include "activation.h"
#include "panels.h"

namespace mn::MN_ISA {
namespace {

// Sums of a tile, which registers hold: so many input channels × vectors of output channels.
constexpr int tile_sums = MN_VECTOR_BYTES == 64 ? 24 : 12;
constexpr int widest_tile = 3;
constexpr long block_positions = 192;
constexpr long block_inputs = 192;  // input channels of a work item: a multiple of every tile's rows

// The columns are covered by tiles of two vectors; where that leaves one over, the first has three.
inline int tile_vectors(long first_vector, long vectors) {
  if (first_vector > 0 || vectors % 2 == 0) return 2;
  return vectors == 1 ? 1 : widest_tile;
}

// dw[Rows, columns] += x[positions, Rows]ᵀ · b[positions, Vectors], x's rows from channel `first` on.
template <int Rows, int Vectors>
void compute_tile(const float* const* x, long first, const float* b, long positions, float* dw, long stride, long columns) {
  Vector sums[Rows][Vectors] = {};
#pragma GCC unroll 2
  for (long m = 0; m < positions; m++) {
    const float* a = x[m] + first;
    Vector gradient[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) gradient[v] = load(b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const Vector value = splat(a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) sums[r][v] += value * gradient[v];
    }
    b += Vectors * lanes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) {
      const long left = columns - v * lanes;
      if (left <= 0) continue;
      float* to = dw + r * stride + v * lanes;
      if (left >= lanes) store(to, load(to) + sums[r][v]);
      else Part{left}.store(to, Part{left}.load(to) + sums[r][v]);
    }
  }
}

// The tiles below each other of one column of them.
template <int Vectors>
void compute_column(const float* const* x, long inputs, const float* b, long positions, float* dw, long stride, long columns) {
  constexpr int rows = tile_sums / (Vectors == 1 ? 2 : Vectors);
  long i = 0;
  for (; i + rows <= inputs; i += rows) compute_tile<rows, Vectors>(x, i, b, positions, dw + i * stride, stride, columns);
  for (; i + 3 <= inputs; i += 3) compute_tile<3, Vectors>(x, i, b, positions, dw + i * stride, stride, columns);
  for (; i + 2 <= inputs; i += 2) compute_tile<2, Vectors>(x, i, b, positions, dw + i * stride, stride, columns);
  for (; i < inputs; i++) compute_tile<1, Vectors>(x, i, b, positions, dw + i * stride, stride, columns);
}

struct Item {
  long t, h, w;            // tap
  long first_input, inputs;
  long first, last;        // output positions
};

// Wide input rows are often powers of two apart and then fight for the same cache sets: copies lie an odd number of
// cache lines apart. Not worth it for each of many taps.
constexpr long copy_stride = round_up(block_inputs, 32) + 16;
inline bool copies_inputs(const DenseWeightGradient& op) { return op.window.taps() == 1 && op.in_channels >= 48; }

void compute_item(const DenseWeightGradient& op, const Memory& memory, const Item& item, float* dw, float* a, float* b) {
  const float* x = memory.at(op.x);
  const float* dy = memory.at(op.dy);
  const Extent &in = op.in, &out = op.out;
  const bool copied = copies_inputs(op);
  const long columns = op.out_channels;
  const long vectors = (columns + lanes - 1) / lanes;
  for (long block = item.first; block < item.last; block += block_positions) {
    const long end = smaller(block + block_positions, item.last);
    const float* rows[block_positions];
    long count = 0;  // positions of the block whose tap is inside the input
    // Counts positions on from the block's first instead of dividing for each.
    long ow = block % out.width, oh = block / out.width % out.height, ot = block / out.frame() % out.frames;
    long sample = block / out.sample();
    for (long m = block; m < end; m++) {
      const long iw = ow * op.window.stride[2] - op.window.padding[2] + item.w;
      const long ih = oh * op.window.stride[1] - op.window.padding[1] + item.h;
      const long it = ot * op.window.stride[0] - op.window.padding[0] + item.t;
      const float* from = x + (((sample * in.frames + it) * in.height + ih) * in.width + iw) * op.in_channels + item.first_input;
      if (++ow == out.width) {
        ow = 0;
        if (++oh == out.height) {
          oh = 0;
          if (++ot == out.frames) {
            ot = 0;
            sample++;
          }
        }
      }
      if (it < 0 || it >= in.frames || ih < 0 || ih >= in.height || iw < 0 || iw >= in.width) continue;
      rows[count] = from;
      if (copied) {
        float* copy = a + count * copy_stride;
        for_vectors(0, item.inputs, [&](long c, auto span) { span.store(copy + c, span.load(from + c)); });
        rows[count] = copy;
      }
      const float* gradient = dy + m * columns;
      for (long first = 0, tile; first < vectors; first += tile) {
        tile = tile_vectors(first, vectors);
        float* to = b + (first * block_positions + count * tile) * lanes;
        for (long v = 0; v < tile; v++) {
          const long left = columns - (first + v) * lanes;
          const float* source = gradient + (first + v) * lanes;
          store(to + v * lanes, left >= lanes ? load(source) : Part{left}.load(source));
        }
      }
      count++;
    }
    if (count == 0) continue;
    for (long first = 0, tile; first < vectors; first += tile) {
      tile = tile_vectors(first, vectors);
      const auto compute = tile == 1 ? compute_column<1> : tile == 2 ? compute_column<2> : compute_column<widest_tile>;
      const long column = first * lanes;
      compute(rows, item.inputs, b + column * block_positions, count, dw + column, columns, columns - column);
    }
  }
}

}  // namespace

void dense_weight_gradient(const DenseWeightGradient& op, const Memory& memory) {
  const long taps = op.window.taps();
  const long input_blocks = (op.depth + block_inputs - 1) / block_inputs;
  const long items = taps * input_blocks;
  const long positions = op.out.positions();
  // Too few items for the threads: split the positions, too, and add the partial sums in a fixed order.
  const long threads = team_size();
  const long splits = smaller(items >= 2 * threads ? 1 : (2 * threads + items - 1) / items,
                              (positions + block_positions - 1) / block_positions);
  const long size = taps * op.depth * op.out_channels;
  float* dw = memory.at(op.dw);
  float* partial = splits == 1 ? dw : static_cast<float*>(malloc(static_cast<size_t>(splits * size) * sizeof(float)));
  in_parallel(items * splits, [&](Items& taken) {
    const size_t panels = static_cast<size_t>(block_positions * round_up(op.out_channels, lanes));
    float* b = static_cast<float*>(malloc(panels * sizeof(float)));
    float* a = static_cast<float*>(malloc(static_cast<size_t>(block_positions * copy_stride) * sizeof(float)));
    for (long i; (i = taken.next()) >= 0;) {
      const long split = i % splits, block = i / splits % input_blocks;
      const long tap = i / splits / input_blocks;
      const Window& w = op.window;
      const Item item{tap / (w.kernel[1] * w.kernel[2]), tap / w.kernel[2] % w.kernel[1], tap % w.kernel[2],
                      block * block_inputs, smaller(block_inputs, op.depth - block * block_inputs),
                      positions * split / splits, positions * (split + 1) / splits};
      float* sums = partial + split * size + (tap * op.depth + item.first_input) * op.out_channels;
      memset(sums, 0, static_cast<size_t>(item.inputs * op.out_channels) * sizeof(float));
      compute_item(op, memory, item, sums, a, b);
    }
    free(a);
    free(b);
  });
  if (splits == 1) return;
  constexpr long run = 4096;
  for_each((size + run - 1) / run, [&](long i) {
    for_vectors(i * run, smaller(size, (i + 1) * run), [&](long at, auto span) {
      Vector total = span.load(partial + at);
      for (long split = 1; split < splits; split++) total += span.load(partial + split * size + at);
      span.store(dw + at, total);
    });
  });
  free(partial);
}

}  // namespace mn::MN_ISA
