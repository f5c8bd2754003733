// The gradient of dense weights: for each tap the product of the transposed input with the gradient of the
// output. Blocks of positions of the latter are packed into panels; input rows are read in place through a table of
// pointers, which costs less than packing them for every tap.
#include <stdlib.h>
#include <string.h>

#include "activation.h"

namespace mn::MN_ISA {
namespace {

constexpr int tile_rows = MN_VECTOR_BYTES == 64 ? 12 : 6;
constexpr int tile_vectors = 2;
constexpr long tile_columns = tile_vectors * lanes;
constexpr long block_positions = 192;
constexpr long block_inputs = 192;  // input channels of a work item: a multiple of every tile's rows

inline long smaller(long a, long b) { return a < b ? a : b; }
inline long round_up(long a, long to) { return (a + to - 1) / to * to; }

// dw[rows, columns] += x[positions, tile_rows]ᵀ · b[positions, tile_columns], x's rows from channel `first` on.
template <int Rows>
void compute_tile(const float* const* x, long first, const float* b, long positions, float* dw, long stride, long columns) {
  Vector sums[Rows][tile_vectors] = {};
#pragma GCC unroll 2
  for (long m = 0; m < positions; m++) {
    const float* a = x[m] + first;
    Vector gradient[tile_vectors];
#pragma GCC unroll 4
    for (int v = 0; v < tile_vectors; v++) gradient[v] = load(b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const Vector value = splat(a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < tile_vectors; v++) sums[r][v] += value * gradient[v];
    }
    b += tile_columns;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < tile_vectors; v++) {
      const long left = columns - v * lanes;
      if (left <= 0) continue;
      float* to = dw + r * stride + v * lanes;
      if (left >= lanes) store(to, load(to) + sums[r][v]);
      else Part{left}.store(to, Part{left}.load(to) + sums[r][v]);
    }
  }
}

struct Item {
  long t, h, w;            // tap
  long first_input, inputs;
  long first, last;        // output positions
};

void compute_item(const DenseWeightGradient& op, const Memory& memory, const Item& item, float* dw, float* b) {
  const float* x = memory.at(op.x);
  const float* dy = memory.at(op.dy);
  const Extent &in = op.in, &out = op.out;
  const long columns = op.out_channels;
  const long column_tiles = (columns + tile_columns - 1) / tile_columns;
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
      const float* gradient = dy + m * columns;
      for (long tile = 0; tile < column_tiles; tile++) {
        float* to = b + (tile * block_positions + count) * tile_columns;
        const float* source = gradient + tile * tile_columns;
        const long exists = smaller(tile_columns, columns - tile * tile_columns);
        if (exists == tile_columns) {
          for (int v = 0; v < tile_vectors; v++) store(to + v * lanes, load(source + v * lanes));
        } else {
          for (long c = 0; c < tile_columns; c++) to[c] = c < exists ? source[c] : 0;
        }
      }
      count++;
    }
    if (count == 0) continue;
    for (long column = 0; column < column_tiles; column++) {
      const float* panel = b + column * block_positions * tile_columns;
      const long exists = smaller(tile_columns, columns - column * tile_columns);
      float* to = dw + column * tile_columns;
      long input = 0;
      for (; input + tile_rows <= item.inputs; input += tile_rows)
        compute_tile<tile_rows>(rows, input, panel, count, to + input * columns, columns, exists);
      for (; input + 3 <= item.inputs; input += 3) compute_tile<3>(rows, input, panel, count, to + input * columns, columns, exists);
      for (; input < item.inputs; input++) compute_tile<1>(rows, input, panel, count, to + input * columns, columns, exists);
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
  float* partial = static_cast<float*>(calloc(static_cast<size_t>(splits * size), sizeof(float)));
  in_parallel(items * splits, [&](Items& taken) {
    const size_t panels = static_cast<size_t>(block_positions * round_up(op.out_channels, tile_columns));
    float* b = static_cast<float*>(malloc(panels * sizeof(float)));
    for (long i; (i = taken.next()) >= 0;) {
      const long split = i % splits, block = i / splits % input_blocks;
      const long tap = i / splits / input_blocks;
      const Window& w = op.window;
      const Item item{tap / (w.kernel[1] * w.kernel[2]), tap / w.kernel[2] % w.kernel[1], tap % w.kernel[2],
                      block * block_inputs, smaller(block_inputs, op.depth - block * block_inputs),
                      positions * split / splits, positions * (split + 1) / splits};
      compute_item(op, memory, item, partial + split * size + (tap * op.depth + item.first_input) * op.out_channels, b);
    }
    free(b);
  });
  for_each(size, [&](long i) {
    float total = partial[i];
    for (long split = 1; split < splits; split++) total += partial[split * size + i];
    dw[i] = total;
  });
  free(partial);
}

}  // namespace mn::MN_ISA
