// Dense convolutions and linear layers as an implicit matrix product: for a block of output positions a table
// of pointers to the input row that each tap sees (a row of zeros beyond the border), then panels of packed
// weights against tiles of rows, accumulated in registers. The gradient with respect to the input is the same
// product over transposed weights; with strides it falls into phases, each of which sees its own taps.
#include <stdlib.h>
#include <string.h>

#include "activation.h"
#include "panels.h"

namespace mn::MN_ISA {
namespace {

// Rows of a register tile for panels of 1, 2 and 3 vectors.
template <int Vectors>
constexpr int tile_rows = MN_VECTOR_BYTES == 64 ? (Vectors == 3 ? 8 : 12) : (Vectors == 3 ? 4 : Vectors == 2 ? 6 : 8);

constexpr long block_rows = 96;     // a multiple of every tile's rows
constexpr long block_depth = 256;   // weights of a panel that are used together: they stay in the first cache
constexpr long table_limit = 6144;  // pointers of a block

// A run of the inner dimension: `length` values from `from` of the row that tap `tap` sees.
struct Segment {
  long tap, from, length;
};

// Output positions that see the same taps: those at `start + i · step` on each axis.
struct Phase {
  long start[3], step[3], count[3];
  long rows(long batch) const { return batch * count[0] * count[1] * count[2]; }
};

struct Tile {
  const float* const* rows;  // [segments' taps, block_rows] pointers
  const Segment* segments;
  long segment_count;
  const float* panel;  // packed weights of the panel
  long depth;          // values per tap in the panel
  float* const* out;   // pointers to output rows
  const float* const* residual;
  const float* bias;
  long columns;  // of the panel that exist
  long row_count;
  bool first, last;
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
    const float* b = tile.panel + (segment.tap * tile.depth + segment.from) * Vectors * lanes;
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
  // Where the depth is short, this costs as much as the product: whole tiles branch once per row.
  if (tile.row_count >= R && tile.columns >= Vectors * lanes) {
    Vector bias[Vectors] = {};
    if (tile.last && tile.bias) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) bias[v] = load(tile.bias + v * lanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      float* out = tile.out[r];
      const float* residual = tile.last && tile.residual ? tile.residual[r] : nullptr;
      Vector y[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) y[v] = sums[r][v] + bias[v];
      if (!tile.first) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; v++) y[v] += load(out + v * lanes);
      }
      if (residual) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; v++) y[v] += load(residual + v * lanes);
      }
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) store(out + v * lanes, activate<A>(y[v]));  // A is none before the last depth
    }
    return;
  }
  const auto finish = [&](int r, int v, auto span) {
    float* out = tile.out[r] + v * lanes;
    Vector y = sums[r][v];
    if (!tile.first) y += span.load(out);
    if (tile.last) {
      if (tile.bias) y += span.load(tile.bias + v * lanes);
      if (tile.residual) y += span.load(tile.residual[r] + v * lanes);
      y = activate<A>(y);
    }
    span.store(out, y);
  };
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) {
      const long left = tile.columns - v * lanes;
      if (r >= tile.row_count || left <= 0) continue;
      if (left >= lanes) finish(r, v, Whole{});
      else finish(r, v, Part{left});
    }
  }
}

template <int Vectors>
void compute_rows(Tile tile, long rows, int activation) {
  constexpr int R = tile_rows<Vectors>;
  const Tile base = tile;
  const auto run = [&](auto compute) {
    for (long r = 0; r < rows; r += R) {
      tile.rows = base.rows + r;
      tile.out = base.out + r;
      tile.residual = base.residual ? base.residual + r : nullptr;
      tile.row_count = smaller(R, rows - r);
      compute(tile);
    }
  };
  if (!tile.last) return run(compute_tile<Vectors, none>);
  with_activation(activation, [&](auto a) { run(compute_tile<Vectors, decltype(a)::value>); });
}

// One work item: a block of rows of a phase against a range of panels.
struct Worker {
  const Dense& op;
  const Memory& memory;
  const float* zeros;
  const float** table;
  float** out;
  const float** residual;
  float* gated;
  Segment* segments;

  // The position on one axis that tap k of output position o sees, or -1.
  long seen(int axis, long o, long k, long extent) const {
    const Window& w = op.window;
    if (!op.transposed) {
      const long i = o * w.stride[axis] - w.padding[axis] + k;
      return i >= 0 && i < extent ? i : -1;
    }
    const long scaled = o + w.padding[axis] - k;
    if (w.stride[axis] == 1) return scaled >= 0 && scaled < extent ? scaled : -1;
    if (scaled < 0 || scaled % w.stride[axis] != 0) return -1;
    const long i = scaled / w.stride[axis];
    return i < extent ? i : -1;
  }

  // The phase's taps, split so that a block's depth fits the first cache.
  long list_segments(const Phase& phase) const {
    const Window& w = op.window;
    const long parts = (op.depth + block_depth + block_depth / 2 - 1) / (block_depth + block_depth / 2);
    const long part = (op.depth + parts - 1) / parts;
    long count = 0, tap = 0;
    for (long t = 0; t < w.kernel[0]; t++)
      for (long h = 0; h < w.kernel[1]; h++)
        for (long x = 0; x < w.kernel[2]; x++, tap++) {
          const long k[3] = {t, h, x};
          bool used = true;
          for (int axis = 0; op.transposed && axis < 3; axis++)
            used = used && (phase.start[axis] + w.padding[axis] - k[axis]) % w.stride[axis] == 0;
          if (!used) continue;
          for (long from = 0; from < op.depth; from += part)
            segments[count++] = {tap, from, smaller(part, op.depth - from)};
        }
    return count;
  }

  void run(const Phase& phase, long first_row, long rows, long first_panel, long last_panel) const {
    const long count = list_segments(phase);
    const Extent& y = op.out;
    const float* x = memory.at(op.x);
    const float* residual_values = memory.at(op.residual);
    float* y_values = memory.at(op.y);
    const Window& w = op.window;
    const long taps = w.taps();
    for (long r = rows; r < (rows + 23) / 24 * 24; r++)  // whole tiles of every height
      for (long tap = 0; tap < taps; tap++) table[tap * block_rows + r] = zeros;
    if (is_pointwise()) {
      for (long r = 0; r < rows; r++) table[r] = x + (first_row + r) * op.in_channels;
      for (long r = 0; r < rows; r++) out[r] = y_values + (first_row + r) * op.out_channels;
      for (long r = 0; residual_values && r < rows; r++) residual[r] = residual_values + (first_row + r) * op.out_channels;
      if (op.gates != nowhere || op.prologue != none)
        for (long r = 0; r < rows; r++) gate(r, (first_row + r) / y.sample());
      return multiply(count, rows, first_panel, last_panel);
    }
    // Runs of rows on one output line: neighbours see neighbours, so that little is computed for each pointer.
    for (long done = 0; done < rows;) {
      const long row = first_row + done;
      const long column = row % phase.count[2], line = row / phase.count[2] % phase.count[1];
      const long frame = row / phase.count[2] / phase.count[1] % phase.count[0];
      const long sample = row / phase.count[2] / phase.count[1] / phase.count[0];
      const long length = smaller(rows - done, phase.count[2] - column);
      point(phase, sample, frame, line, column, done, length);
      done += length;
    }
    multiply(count, rows, first_panel, last_panel);
  }

  // Fills the tables of `length` rows from `row` on: those of the phase's positions from (frame, line, column) on.
  void point(const Phase& phase, long sample, long frame, long line, long column, long row, long length) const {
    const Window& w = op.window;
    const Extent &in = op.in, &y = op.out;
    const long t = phase.start[0] + frame * phase.step[0], h = phase.start[1] + line * phase.step[1];
    const long x = phase.start[2] + column * phase.step[2];
    const long position = ((sample * y.frames + t) * y.height + h) * y.width + x;
    float* to = memory.at(op.y) + position * op.out_channels;
    const long to_step = phase.step[2] * op.out_channels;
    for (long r = 0; r < length; r++) out[row + r] = to + r * to_step;
    if (const float* values = memory.at(op.residual)) {
      values += position * op.out_channels;
      for (long r = 0; r < length; r++) residual[row + r] = values + r * to_step;
    }
    // Input columns that neighbours see lie so far apart.
    const long step = op.transposed ? 1 : w.stride[2];
    const float** pointers = table + row;
    for (long kt = 0; kt < w.kernel[0]; kt++) {
      const long it = seen(0, t, kt, in.frames);
      for (long kh = 0; kh < w.kernel[1]; kh++) {
        const long ih = seen(1, h, kh, in.height);
        for (long kw = 0; kw < w.kernel[2]; kw++, pointers += block_rows) {
          long first = op.transposed ? x + w.padding[2] - kw : x * w.stride[2] - w.padding[2] + kw;
          const bool off = op.transposed && first % w.stride[2] != 0;  // taps that the phase does not use
          if (op.transposed) first /= w.stride[2];
          if (off || it < 0 || ih < 0) {
            for (long r = 0; r < length; r++) pointers[r] = zeros;
            continue;
          }
          // Rows [begin, end) see columns inside the input.
          const long begin = first >= 0 ? 0 : smaller(length, (-first + step - 1) / step);
          const long end = first >= in.width ? begin : larger(begin, smaller(length, (in.width - 1 - first) / step + 1));
          const float* from =
              memory.at(op.x) + (((sample * in.frames + it) * in.height + ih) * in.width + first) * op.in_channels;
          for (long r = 0; r < begin; r++) pointers[r] = zeros;
          for (long r = begin; r < end; r++) pointers[r] = from + r * step * op.in_channels;
          for (long r = end; r < length; r++) pointers[r] = zeros;
        }
      }
    }
  }

  // 1×1×1 at stride 1: row m sees row m.
  bool is_pointwise() const {
    const Window& w = op.window;
    return w.taps() == 1 && w.stride[0] * w.stride[1] * w.stride[2] == 1 && op.depth == op.in_channels &&
           w.padding[0] + w.padding[1] + w.padding[2] == 0;
  }

  // Replaces the row that a 1×1×1 convolution sees by its gated and activated copy.
  void gate(long r, long sample) const {
    const float* gates = memory.at(op.gates);
    const float* from = table[r];
    float* to = gated + r * op.depth;
    with_activation(op.prologue, [&](auto a) {
      for_vectors(0, op.depth, [&](long c, auto span) {
        Vector v = span.load(from + c);
        if (gates) v *= span.load(gates + sample * op.depth + c);
        span.store(to + c, activate<decltype(a)::value>(v));
      });
    });
    table[r] = to;
  }

  void multiply(long count, long rows, long first_panel, long last_panel) const {
    const Panels panels(op.out_channels);
    const float* packed = op.prepacked ? op.prepacked : memory.at(op.packed);
    const float* bias = memory.at(op.bias);
    const long inner = op.window.taps() * op.depth;
    const bool any_residual = op.residual != nowhere;
    long from = 0;
    do {
      long to = from, depth = 0;
      while (to < count && (to == from || depth + segments[to].length <= block_depth + block_depth / 2))
        depth += segments[to++].length;
      for (long p = first_panel; p < last_panel; p++) {
        const long column = panels.start(p) * lanes;
        float* shifted[block_rows];
        const float* shifted_residual[block_rows];
        for (long r = 0; r < rows; r++) {
          shifted[r] = out[r] + column;
          if (any_residual) shifted_residual[r] = residual[r] + column;
        }
        Tile tile{};
        tile.rows = table;
        tile.segments = segments + from;
        tile.segment_count = to - from;
        tile.panel = packed + inner * column;
        tile.depth = op.depth;
        tile.out = shifted;
        tile.residual = any_residual ? shifted_residual : nullptr;
        tile.bias = bias ? bias + column : nullptr;
        tile.columns = smaller(panels.width(p) * lanes, op.out_channels - column);
        tile.first = from == 0 && !op.accumulate;
        tile.last = to >= count;
        switch (panels.width(p)) {
          case 1: compute_rows<1>(tile, rows, op.activation); break;
          case 2: compute_rows<2>(tile, rows, op.activation); break;
          default: compute_rows<3>(tile, rows, op.activation);
        }
      }
      from = to;
    } while (from < count);
  }
};

// All output positions, or one phase per residue of the strides.
long list_phases(const Dense& op, Phase* phases) {
  const long extents[3] = {op.out.frames, op.out.height, op.out.width};
  long steps[3];
  for (int axis = 0; axis < 3; axis++) steps[axis] = op.transposed ? op.window.stride[axis] : 1;
  long count = 0;
  for (long t = 0; t < steps[0]; t++)
    for (long h = 0; h < steps[1]; h++)
      for (long w = 0; w < steps[2]; w++) {
        const long start[3] = {t, h, w};
        Phase phase;
        bool empty = false;
        for (int axis = 0; axis < 3; axis++) {
          phase.start[axis] = start[axis];
          phase.step[axis] = steps[axis];
          phase.count[axis] = (extents[axis] - start[axis] + steps[axis] - 1) / steps[axis];
          empty = empty || phase.count[axis] <= 0;
        }
        if (!empty) phases[count++] = phase;
      }
  return count;
}

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

void dense(const Dense& op, const Memory& memory) {
  Phase* phases = static_cast<Phase*>(
      malloc(sizeof(Phase) * static_cast<size_t>(op.window.stride[0] * op.window.stride[1] * op.window.stride[2])));
  const long phase_count = list_phases(op, phases);
  const long taps = op.window.taps();
  long rows = table_limit / taps / 24 * 24;
  rows = rows < 24 ? 24 : smaller(rows, block_rows);
  const Panels panels(op.out_channels);
  const bool gated = op.gates != nowhere || op.prologue != none;
  if (phase_count == 1) {  // equal blocks
    const long all = phases[0].rows(op.out.batch), count = (all + rows - 1) / rows;
    rows = smaller(rows, ((all + count - 1) / count + 11) / 12 * 12);
  }
  long blocks = 0;
  for (long p = 0; p < phase_count; p++) blocks += (phases[p].rows(op.out.batch) + rows - 1) / rows;
  // Few rows: share out the panels, too, so that threads end together. Gates are computed anew for each share.
  const long wanted = (gated ? 4 : 12) * team_size();
  const long splits = blocks >= wanted ? 1 : smaller(panels.count(), (wanted + blocks - 1) / blocks);

  in_parallel(blocks * splits, [&](Items& items) {
    const long segment_limit = taps * (op.depth / block_depth + 2);
    float* zeros = static_cast<float*>(calloc(static_cast<size_t>(op.depth), sizeof(float)));
    const float** table = static_cast<const float**>(malloc(sizeof(float*) * static_cast<size_t>(taps * block_rows)));
    float* out[block_rows];
    const float* residual[block_rows];
    float* copies = gated ? static_cast<float*>(malloc(sizeof(float) * static_cast<size_t>(rows * op.depth))) : nullptr;
    Segment* segments = static_cast<Segment*>(malloc(sizeof(Segment) * static_cast<size_t>(segment_limit)));
    const Worker worker{op, memory, zeros, table, out, residual, copies, segments};
    for (long item; (item = items.next()) >= 0;) {
      long block = item / splits;
      const long split = item % splits;
      long p = 0;
      for (long in_phase; block >= (in_phase = (phases[p].rows(op.out.batch) + rows - 1) / rows); p++) block -= in_phase;
      const long first = block * rows;
      worker.run(phases[p], first, smaller(rows, phases[p].rows(op.out.batch) - first),
                 panels.count() * split / splits, panels.count() * (split + 1) / splits);
    }
    free(zeros);
    free(table);
    free(copies);
    free(segments);
  });
  free(phases);
}

}  // namespace mn::MN_ISA
