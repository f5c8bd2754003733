// Dense convolutions and linear layers as an implicit matrix product: for a block of output positions a table
// of pointers to the input row that each tap sees, then panels of packed weights against tiles of rows, accumulated in
// registers. The gradient with respect to the input is the same product over transposed weights; with strides it falls
// into phases, each of which sees its own taps.
#include "dense.h"

namespace mn::MN_ISA {
namespace {

struct Tile : Finish {
  const float* const* rows;  // [taps, block_rows] pointers
  const Segment* segments;
  long segment_count;
  const float* panel;  // packed weights of the panel
  long inner;          // values per tap in the panel
};

template <int Vectors, int A>
__attribute__((noinline)) void compute_tile(const Tile& tile) {
  constexpr int R = tile_rows<Vectors>;
  Vector sums[R][Vectors] = {};
  for (long s = 0; s < tile.segment_count; s++) {
    const Segment& segment = tile.segments[s];
    const float* a[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) a[r] = tile.rows[segment.tap * block_rows + r] + segment.from;
    const float* b = tile.panel + (segment.tap * tile.inner + segment.from) * Vectors * lanes;
#pragma GCC unroll 2
    for (long k = 0; k < segment.length; k++) {
      Vector weights[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) weights[v] = load(b + v * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vector x = splat(a[r][k]);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; v++) sums[r][v] += x * weights[v];
      }
      b += Vectors * lanes;
    }
  }
  finish_tile<A>(sums, tile);
}

struct Worker : Block {
  void* scratch;

  static bool is_gated(const Dense& op) { return op.gates != nowhere || op.prologue != none; }
  static size_t scratch_bytes(const Dense& op, long rows) {
    return is_gated(op) ? sizeof(float) * static_cast<size_t>(rows * op.inner) : 0;
  }

  void run(const Phase& phase, long first_row, long rows, long first_panel, long last_panel) const {
    const long count = list_segments(phase);
    lay_out(phase, first_row, rows);
    if (is_gated(op))
      for (long r = 0; r < rows; r++) gate(r, (first_row + r) / op.out.sample());
    const float* packed = memory.at(op.packed);
    const long panel_rows = op.window.taps() * op.inner;
    long from = 0;
    do {
      long to = from, length = 0;
      while (to < count && (to == from || length + segments[to].length <= most_inner))
        length += segments[to++].length;
      for_panels(first_panel, last_panel, rows, from == 0, to >= count, [&](auto vectors, long column, const Finish& finish) {
        constexpr int Vectors = decltype(vectors)::value;
        const Tile panel{finish, table, segments + from, to - from, packed + panel_rows * column, op.inner};
        for_tiles<Vectors>(panel, rows, op.activation, [&](auto a, long row, Tile& tile) {
          tile.rows = table + row;
          compute_tile<Vectors, decltype(a)::value>(tile);
        });
      });
      from = to;
    } while (from < count);
  }

  // Replaces the row that a 1×1×1 convolution sees by its gated and activated copy.
  void gate(long r, long sample) const {
    const float* gates = memory.at(op.gates);
    const float* from = table[r];
    float* to = static_cast<float*>(scratch) + r * op.inner;
    with_activation(op.prologue, [&](auto a) {
      for_vectors(0, op.inner, [&](long c, auto span) {
        Vector v = span.load(from + c);
        if (gates) v *= span.load(gates + sample * op.inner + c);
        span.store(to + c, activate<decltype(a)::value>(v));
      });
    });
    table[r] = to;
  }
};

}  // namespace

long packed_size(long taps, long in, long out) { return taps * in * Panels(out).vectors * lanes; }

// From [taps, in, out] to panels of [taps, in, vectors · lanes], zero beyond `out`; transposed: panels over
// `in` of [taps, out, vectors · lanes].
void pack(const float* weights, float* packed, long taps, long in, long out, bool transposed) {
  const long columns = transposed ? in : out;
  const long inner = transposed ? out : in;
  const Panels panels(columns);
  constexpr long chunk = 8 * lanes;
  const long chunks = (inner + chunk - 1) / chunk;
  for_each(panels.count() * taps * chunks, [&](long item) {
    const long p = item / chunks / taps, tap = item / chunks % taps, begin = item % chunks * chunk;
    const long end = smaller(inner, begin + chunk), width = panels.width(p) * lanes, start = panels.start(p) * lanes;
    const float* from = weights + tap * in * out;
    float* to = packed + taps * inner * start + tap * inner * width;
    for (long c = 0; c < width; c += lanes) {
      const long exists = smaller(lanes, columns - start - c);
      for (long k = begin; k < end; k += lanes) {
        const long count = smaller(lanes, end - k);
        Vector rows[lanes];
        if (transposed) transpose(from + (start + c) * out + k, out, exists, count, rows);
        for (long i = 0; i < count; i++) {
          const float* row = from + (k + i) * out + start + c;
          if (!transposed) rows[i] = exists == lanes ? load(row) : Part{exists}.load(row);
          store(to + (k + i) * width + c, rows[i]);
        }
      }
    }
  });
}

void pack_dense(const PackDense& op, const Memory& memory) {
  pack(memory.at(op.weights), memory.at(op.packed), op.taps, op.in, op.out, op.transposed);
}

void dense(const Dense& op, const Memory& memory) { share_out<Worker>(op, memory, Worker::is_gated(op)); }

}  // namespace mn::MN_ISA
