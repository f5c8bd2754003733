// Convolutions over 1×3×3 or 3×1×1 windows at stride 1 with fewer multiplications: Winograd's minimal filtering
// F(4, 3) (Lavin and Gray 2016), on both axes of a frame or along time. Tiles of 4 (×4) outputs and the 6 (×6)
// inputs that they see become values at 6 (×6) points; there the convolution is one product per point and pair of
// channels, summed over input channels as a matrix product of tiles × weights for each point.
#include <string.h>

#include "winograd.h"

namespace mn::MN_ISA {
namespace {

// Of a panel at a point: one more than needed keeps the points' rows off each other's sets of a cache.
inline long panel_rows(long in_channels) { return in_channels + 1; }

// m[rows, Vectors] (+)= v[rows, inner] · b[inner, Vectors]; rows beyond the last are its copies.
template <int Vectors>
__attribute__((noinline)) void multiply(const float* v, long stride, long rows, const float* b, long inner, float* m, bool first) {
  constexpr int R = tile_rows<Vectors>;
  for (long row = 0; row < rows; row += R, m += R * Vectors * lanes) {
    const float* a[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) a[r] = v + smaller(row + r, rows - 1) * stride;
    Vector sums[R][Vectors] = {};
    const float* weights_at = b;
#pragma GCC unroll 2
    for (long k = 0; k < inner; k++) {
      Vector weights[Vectors];
#pragma GCC unroll 4
      for (int n = 0; n < Vectors; n++) weights[n] = load(weights_at + n * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vector x = splat(a[r][k]);
#pragma GCC unroll 4
        for (int n = 0; n < Vectors; n++) sums[r][n] += x * weights[n];
      }
      weights_at += Vectors * lanes;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
      for (int n = 0; n < Vectors; n++) {
        float* to = m + (r * Vectors + n) * lanes;
        store(to, first ? sums[r][n] : load(to) + sums[r][n]);
      }
    }
  }
}

// How much of the work a block is, and where its parts lie in a thread's scratch memory.
struct Split {
  long tiles;                         // of a block
  long value_stride, product_stride;  // between points
  long scratch;                       // floats of a thread
};

// Blocks large enough to read the weights seldom, small enough that their values stay in the second and third cache.
template <class Axes>
Split split_of(const Winograd& op) {
  const long tiles = Tiling<Axes>(op.extent).count(), fitting = Axes::points == 36 ? 32 : 100;
  const long blocks = (tiles + fitting - 1) / fitting;
  Split split;
  split.tiles = (tiles + blocks - 1) / blocks;
  split.value_stride = staggered(split.tiles * op.in_channels);
  split.product_stride = staggered(round_up(split.tiles, whole_tiles) * 3 * lanes);
  split.scratch = Axes::points * (split.value_stride + split.product_stride) + staggered(op.in_channels);
  return split;
}

template <class Axes>
struct Worker {
  static constexpr int points = Axes::points;
  const Winograd& op;
  const Memory& memory;
  const Tiling<Axes> tiling;
  const Split& split;
  float* values;    // of the block's tiles at the points: [points, tiles, in channels]
  float* products;  // [points, tiles, columns of a panel]
  float* zeros;

  void transform_inputs(long first, long count) const {
    const float* x = memory.at(op.x);
    for (long t = 0; t < count; t++) {
      const float* from[points];
      tiling.inputs(tiling.tile(first + t), x, op.in_channels, zeros, from);
      float* to = values + t * op.in_channels;
      for_vectors(0, op.in_channels, [&](long c, auto span) {
        Vector d[points];
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) d[i] = span.load(from[i] + c);
        Axes::template apply<InputTransform>(d);
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) span.store(to + i * split.value_stride + c, d[i]);
      });
    }
  }

  template <int A>
  void transform_outputs(long first, long count, long column, long vectors) const {
    const float* bias = memory.at(op.bias);
    const float* residual = memory.at(op.residual);
    float* y = memory.at(op.y);
    const long columns = smaller(vectors * lanes, op.out_channels - column);
    for (long t = 0; t < count; t++) {
      long positions[Axes::outputs];
      tiling.outputs(tiling.tile(first + t), positions);
      const float* from = products + t * vectors * lanes;
      for_vectors(0, columns, [&](long c, auto span) {
        Vector m[points];
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) m[i] = load(from + i * split.product_stride + c);
        Axes::template apply<OutputTransform>(m);
        const Vector shift = bias ? span.load(bias + column + c) : Vector{};
#pragma GCC unroll 16
        for (int i = 0; i < Axes::outputs; i++) {
          if (positions[i] < 0) continue;
          const long at = positions[i] * op.out_channels + column + c;
          Vector v = m[Axes::output_index(i)] + shift;
          if (residual) v += span.load(residual + at);
          if (op.accumulate) v += span.load(y + at);
          span.store(y + at, activate<A>(v));
        }
      });
    }
  }

  void run(long first, long count, long first_panel, long last_panel) const {
    const Panels panels(op.out_channels);
    const float* packed = memory.at(op.packed);
    transform_inputs(first, count);
    const long part = inner_part(op.in_channels);
    for (long p = first_panel; p < last_panel; p++) {
      const long column = panels.start(p) * lanes;
      const long vectors = panels.width(p);
      const auto product = vectors == 1 ? multiply<1> : vectors == 2 ? multiply<2> : multiply<3>;
      const float* panel = packed + points * panel_rows(op.in_channels) * column;
      for (int i = 0; i < points; i++)
        for (long k = 0; k < op.in_channels; k += part)
          product(values + i * split.value_stride + k, op.in_channels, count,
                  panel + (i * panel_rows(op.in_channels) + k) * vectors * lanes, smaller(part, op.in_channels - k),
                  products + i * split.product_stride, k == 0);
      with_activation(op.activation, [&](auto a) {
        transform_outputs<decltype(a)::value>(first, count, column, vectors);
      });
    }
  }
};

template <class Axes>
void convolve(const Winograd& op, const Memory& memory) {
  const Tiling<Axes> tiling(op.extent);
  const Split split = split_of<Axes>(op);
  const long tiles = tiling.count();
  const long blocks = (tiles + split.tiles - 1) / split.tiles;
  const Panels panels(op.out_channels);
  // Few blocks: share out the panels, too; each share transforms the inputs anew.
  const long wanted = 4 * team_size();
  const long shares = blocks >= wanted ? 1 : larger(1, smaller(panels.count() / 4, (wanted + blocks - 1) / blocks));
  long threads = 0;
  in_parallel(blocks * shares, [&](Items& items) {
    const long thread = __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED);
    if (thread >= op.threads) return;
    float* scratch = memory.at(op.scratch) + thread * split.scratch;
    float* zeros = scratch + Axes::points * (split.value_stride + split.product_stride);
    memset(zeros, 0, static_cast<size_t>(op.in_channels) * sizeof(float));
    const Worker<Axes> worker{op, memory, tiling, split, scratch, scratch + Axes::points * split.value_stride, zeros};
    for (long item; (item = items.next()) >= 0;) {
      const long block = item / shares, share = item % shares;
      const long first = tiles * block / blocks;
      worker.run(first, tiles * (block + 1) / blocks - first, panels.count() * share / shares,
                 panels.count() * (share + 1) / shares);
    }
  });
}

// To panels over output channels of [points, in, vectors · lanes], zero beyond the last; transposed: the filter of
// the gradient with respect to the input, flipped, with panels over input channels.
template <class Axes>
void pack(const float* weights, float* packed, long in, long out, bool transposed) {
  const long columns = transposed ? in : out, inner = transposed ? out : in;
  const Panels panels(columns);
  constexpr int points = Axes::points, taps = Axes::taps;
  const long chunk = 64, chunks = (inner + chunk - 1) / chunk;
  for_each(panels.count() * chunks, [&](long item) {
    const long p = item / chunks, begin = item % chunks * chunk, end = smaller(inner, begin + chunk);
    const long width = panels.width(p) * lanes, start = panels.start(p) * lanes;
    float* panel = packed + points * panel_rows(inner) * start;
    for (long k = begin; k < end; k++) {
      for (long c = 0; c < width; c += lanes) {
        const long exists = smaller(lanes, columns - start - c);
        Vector g[points] = {};
#pragma GCC unroll 9
        for (int tap = 0; tap < taps; tap++) {
          const float* from = weights + tap * in * out;
          Vector& to = g[Axes::tap_index(transposed ? taps - 1 - tap : tap)];
          if (transposed)
            for (long i = 0; i < exists; i++) to[i] = from[(start + c + i) * out + k];
          else
            to = exists == lanes ? load(from + k * out + start + c) : Part{exists}.load(from + k * out + start + c);
        }
        Axes::template apply<FilterTransform>(g);
#pragma GCC unroll 36
        for (int i = 0; i < points; i++) store(panel + (i * panel_rows(inner) + k) * width + c, g[i]);
      }
    }
  });
}

}  // namespace

long winograd_packed_size(bool temporal, long in, long out) {
  return (temporal ? Line::points : Plane::points) * panel_rows(in) * Panels(out).vectors * lanes;
}

long winograd_scratch(const Winograd& op) {
  return op.threads * (op.temporal ? split_of<Line>(op) : split_of<Plane>(op)).scratch;
}

void pack_points(const float* weights, float* packed, long in, long out, bool temporal, bool transposed) {
  if (temporal) pack<Line>(weights, packed, in, out, transposed);
  else pack<Plane>(weights, packed, in, out, transposed);
}

void pack_winograd(const PackWinograd& op, const Memory& memory) {
  pack_points(memory.at(op.weights), memory.at(op.packed), op.in, op.out, op.temporal, op.transposed);
}

void winograd(const Winograd& op, const Memory& memory) {
  if (op.temporal) convolve<Line>(op, memory);
  else convolve<Plane>(op, memory);
}

}  // namespace mn::MN_ISA
