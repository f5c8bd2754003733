// The gradient of the weights of convolutions by Winograd's minimal filtering: at each point the product of the
// transposed inputs with the gradients of the outputs, summed over tiles, whose sums then become the filter's taps.
// A work item is a block of input channels × a block of output channels, so that its sums stay in a thread's caches.
#include <string.h>

#include "partials.h"
#include "winograd.h"

namespace mn::MN_ISA {
namespace {

constexpr long block_channels = 128;  // at most, of inputs and of outputs

// sums[rows, columns] (+)= x[tiles, rows]ᵀ · dy[tiles, columns] for one tile of registers.
template <int Vectors>
__attribute__((noinline)) void multiply(const float* x, long x_stride, const float* dy, long dy_stride, long tiles, float* to,
                                        long rows, bool first) {
  constexpr int R = tile_rows<Vectors>;
  for (long row = 0; row < rows; row += R) {
    Vector sums[R][Vectors] = {};
#pragma GCC unroll 2
    for (long t = 0; t < tiles; t++) {
      const float* a = x + t * x_stride + row;
      Vector gradient[Vectors];
#pragma GCC unroll 4
      for (int n = 0; n < Vectors; n++) gradient[n] = load(dy + t * dy_stride + n * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vector value = splat(a[r]);
#pragma GCC unroll 4
        for (int n = 0; n < Vectors; n++) sums[r][n] += value * gradient[n];
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
      for (int n = 0; n < Vectors; n++) {
        float* at = to + (row + r) * dy_stride + n * lanes;
        store(at, first ? sums[r][n] : load(at) + sums[r][n]);
      }
    }
  }
}

// How the work falls into items, and where their parts lie in a thread's scratch memory.
struct Split {
  long tiles;  // that are transformed together
  long in_blocks, out_blocks, tile_splits;
  long rows, columns;  // of a block's sums, in whole tiles of registers
  long x_stride, dy_stride, sum_stride, scratch;
};

template <class Axes>
Split split_of(const WinogradWeightGradient& op) {
  const long tiles = Tiling<Axes>(op.extent).count();
  Split s;
  s.in_blocks = (op.in_channels + block_channels - 1) / block_channels;
  s.out_blocks = (op.out_channels + block_channels - 1) / block_channels;
  // Too few items for the threads: split the tiles, too, and add the partial sums in a fixed order.
  const long blocks = s.in_blocks * s.out_blocks, wanted = 2 * op.threads;
  s.tile_splits = blocks >= wanted ? 1 : larger(1, smaller(tiles / 64, (wanted + blocks - 1) / blocks));
  s.tiles = smaller(Axes::points == 36 ? 48 : 128, (tiles + s.tile_splits - 1) / s.tile_splits);
  s.rows = round_up((op.in_channels + s.in_blocks - 1) / s.in_blocks, whole_tiles);
  // An odd number of cache lines: rows a power of two apart would fight for the same sets.
  s.columns = round_up((op.out_channels + s.out_blocks - 1) / s.out_blocks, 32) + 16;
  s.x_stride = staggered(s.tiles * s.rows);
  s.dy_stride = staggered(s.tiles * s.columns);
  s.sum_stride = staggered(s.rows * s.columns);
  s.scratch = Axes::points * (s.x_stride + s.dy_stride + s.sum_stride) + staggered(larger(op.in_channels, op.out_channels));
  return s;
}

template <class Axes>
struct Worker {
  static constexpr int points = Axes::points;
  const WinogradWeightGradient& op;
  const Memory& memory;
  const Tiling<Axes> tiling;
  const Split& split;
  float* x_values;
  float* dy_values;
  float* sums;
  float* zeros;

  void transform_inputs(long first, long count, long channel, long channels) const {
    const float* x = memory.at(op.x) + channel;
    for (long t = 0; t < count; t++) {
      const float* from[points];
      tiling.inputs(tiling.tile(first + t), x, op.in_channels, zeros, from);
      float* to = x_values + t * split.rows;
      for_vectors(0, channels, [&](long c, auto span) {
        Vector d[points];
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) d[i] = span.load(from[i] + c);
        Axes::template apply<InputTransform>(d);
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) span.store(to + i * split.x_stride + c, d[i]);
      });
    }
  }

  void transform_gradients(long first, long count, long channel, long channels) const {
    const float* dy = memory.at(op.dy) + channel;
    for (long t = 0; t < count; t++) {
      long positions[Axes::outputs];
      tiling.outputs(tiling.tile(first + t), positions);
      const float* from[Axes::outputs];
      for (int i = 0; i < Axes::outputs; i++) from[i] = positions[i] < 0 ? zeros : dy + positions[i] * op.out_channels;
      float* to = dy_values + t * split.columns;
      for_vectors(0, channels, [&](long c, auto span) {
        Vector g[points];
#pragma GCC unroll 16
        for (int i = 0; i < Axes::outputs; i++) g[Axes::output_index(i)] = span.load(from[i] + c);
        Axes::template apply<GradientTransform>(g);
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) store(to + i * split.dy_stride + c, g[i]);
      });
    }
  }

  void write_taps(float* dw, long in_first, long ins, long out_first, long outs) const {
    const bool adds = op.accumulate && split.tile_splits == 1;
    for (long row = 0; row < ins; row++) {
      const float* from = sums + row * split.columns;
      float* to = dw + (in_first + row) * op.out_channels + out_first;
      for_vectors(0, outs, [&](long c, auto span) {
        Vector m[points];
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) m[i] = load(from + i * split.sum_stride + c);
        Axes::template apply<TapTransform>(m);
#pragma GCC unroll 9
        for (int tap = 0; tap < Axes::taps; tap++) {
          float* at = to + tap * op.in_channels * op.out_channels + c;
          const Vector total = m[Axes::tap_index(tap)];
          span.store(at, adds ? span.load(at) + total : total);
        }
      });
    }
  }

  void run(long first, long last, long in_block, long out_block, float* dw) const {
    const long in_first = op.in_channels * in_block / split.in_blocks;
    const long ins = op.in_channels * (in_block + 1) / split.in_blocks - in_first;
    const long out_first = op.out_channels * out_block / split.out_blocks;
    const long outs = op.out_channels * (out_block + 1) / split.out_blocks - out_first;
    const Panels panels(outs);
    for (long begin = first; begin < last; begin += split.tiles) {
      const long count = smaller(split.tiles, last - begin);
      transform_inputs(begin, count, in_first, ins);
      transform_gradients(begin, count, out_first, outs);
      for (int i = 0; i < points; i++)
        for (long p = 0; p < panels.count(); p++) {
          const auto product = panels.width(p) == 1 ? multiply<1> : panels.width(p) == 2 ? multiply<2> : multiply<3>;
          const long column = panels.start(p) * lanes;
          product(x_values + i * split.x_stride, split.rows, dy_values + i * split.dy_stride + column, split.columns, count,
                  sums + i * split.sum_stride + column, ins, begin == first);
        }
    }
    write_taps(dw, in_first, ins, out_first, outs);
  }
};

template <class Axes>
void gradient(const WinogradWeightGradient& op, const Memory& memory) {
  const Tiling<Axes> tiling(op.extent);
  const Split split = split_of<Axes>(op);
  const long tiles = tiling.count(), blocks = split.in_blocks * split.out_blocks;
  const long size = Axes::taps * op.in_channels * op.out_channels;
  float* dw = memory.at(op.dw);
  float* scratch = memory.at(op.scratch);
  float* partial = split.tile_splits == 1 ? dw : scratch + op.threads * split.scratch;
  long threads = 0;
  in_parallel(blocks * split.tile_splits, [&](Items& items) {
    const long thread = __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED);
    if (thread >= op.threads) return;
    float* x_values = scratch + thread * split.scratch;
    float* dy_values = x_values + Axes::points * split.x_stride;
    float* sums = dy_values + Axes::points * split.dy_stride;
    float* zeros = sums + Axes::points * split.sum_stride;
    memset(zeros, 0, static_cast<size_t>(larger(op.in_channels, op.out_channels)) * sizeof(float));
    // Rows beyond the block's channels are multiplied, too.
    memset(x_values, 0, static_cast<size_t>(Axes::points * split.x_stride) * sizeof(float));
    const Worker<Axes> worker{op, memory, tiling, split, x_values, dy_values, sums, zeros};
    for (long item; (item = items.next()) >= 0;) {
      const long part = item / blocks, block = item % blocks;
      worker.run(tiles * part / split.tile_splits, tiles * (part + 1) / split.tile_splits, block / split.out_blocks,
                 block % split.out_blocks, partial + part * size);
    }
  });
  if (split.tile_splits > 1) add_partials(partial, split.tile_splits, size, dw, op.accumulate);
}

template <class Axes>
long scratch_of(const WinogradWeightGradient& op) {
  const Split split = split_of<Axes>(op);
  const long partial = split.tile_splits * Axes::taps * op.in_channels * op.out_channels;
  return op.threads * split.scratch + (split.tile_splits == 1 ? 0 : partial);
}

}  // namespace

long winograd_weight_scratch(const WinogradWeightGradient& op) {
  return op.temporal ? scratch_of<Line>(op) : scratch_of<Plane>(op);
}

void winograd_weight_gradient(const WinogradWeightGradient& op, const Memory& memory) {
  if (op.temporal) gradient<Line>(op, memory);
  else gradient<Plane>(op, memory);
}

}  // namespace mn::MN_ISA
