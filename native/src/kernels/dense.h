// What dense products of every precision share: blocks of output positions, the pointers to the input rows that each
// tap sees (a row of zeros beyond the border), how a tile of sums is finished, and how the blocks are shared out.
#pragma once
#include <stdlib.h>
#include <string.h>

#include "activation.h"
#include "panels.h"

namespace mn::MN_ISA {

constexpr long block_rows = 96;     // a multiple of every tile's rows
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

// Where the sums of a tile go.
struct Finish {
  float* const* out;  // pointers to output rows
  const float* const* residual;
  const float* bias;
  long columns;  // of the panel that exist
  long row_count;
  bool first, last;  // sums over the inner dimension: the first add to nothing, the last are activated
};

template <int A, int R, int Vectors>
__attribute__((always_inline)) inline void finish_tile(const Vector (&sums)[R][Vectors], const Finish& tile) {
  // Where the inner dimension is short, this costs as much as the product: whole tiles branch once per row.
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
      for (int v = 0; v < Vectors; v++) store(out + v * lanes, activate<A>(y[v]));  // A is none before the last of it
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

// Goes through a panel's rows tile by tile: compute(activation, first row, tile), with a Tile that is a Finish and more.
template <int Vectors, class Tile, class Compute>
inline void for_tiles(const Tile& panel, long rows, int activation, Compute compute) {
  constexpr int R = tile_rows<Vectors>;
  const auto run = [&](auto a) {
    Tile tile = panel;
    for (long r = 0; r < rows; r += R) {
      tile.out = panel.out + r;
      tile.residual = panel.residual ? panel.residual + r : nullptr;
      tile.row_count = smaller(R, rows - r);
      compute(a, r, tile);
    }
  };
  if (!panel.last) return run(Constant<none>{});
  with_activation(activation, run);
}

// What a thread needs for the blocks of rows that it takes.
struct Block {
  const Dense& op;
  const Memory& memory;
  const float* zeros;
  const float** table;  // [taps, block_rows]
  float** out;
  const float** residual;
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

  // The phase's taps, split so that a block's part of the inner dimension fits the first cache.
  long list_segments(const Phase& phase) const {
    const Window& w = op.window;
    const long part = inner_part(op.inner);
    long count = 0, tap = 0;
    for (long t = 0; t < w.kernel[0]; t++)
      for (long h = 0; h < w.kernel[1]; h++)
        for (long x = 0; x < w.kernel[2]; x++, tap++) {
          const long k[3] = {t, h, x};
          bool used = true;
          for (int axis = 0; op.transposed && axis < 3; axis++)
            used = used && (phase.start[axis] + w.padding[axis] - k[axis]) % w.stride[axis] == 0;
          if (!used) continue;
          for (long from = 0; from < op.inner; from += part)
            segments[count++] = {tap, from, smaller(part, op.inner - from)};
        }
    return count;
  }

  // Fills the tables for `rows` rows of a phase.
  void lay_out(const Phase& phase, long first_row, long rows) const {
    const float* residual_values = memory.at(op.residual);
    const long taps = op.window.taps();
    for (long r = rows; r < (rows + 23) / 24 * 24; r++)  // whole tiles of every height
      for (long tap = 0; tap < taps; tap++) table[tap * block_rows + r] = zeros;
    if (is_pointwise()) {
      const float* x = memory.at(op.x);
      float* y = memory.at(op.y);
      for (long r = 0; r < rows; r++) table[r] = x + (first_row + r) * op.in_channels;
      for (long r = 0; r < rows; r++) out[r] = y + (first_row + r) * op.out_channels;
      for (long r = 0; residual_values && r < rows; r++) residual[r] = residual_values + (first_row + r) * op.out_channels;
      return;
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
    return w.taps() == 1 && w.stride[0] * w.stride[1] * w.stride[2] == 1 && op.inner == op.in_channels &&
           w.padding[0] + w.padding[1] + w.padding[2] == 0;
  }

  // Calls visit(vectors, column, finish) for each panel: its width as a constant, its first output channel.
  template <class Visit>
  void for_panels(long first_panel, long last_panel, long rows, bool first, bool last, Visit visit) const {
    const Panels panels(op.out_channels);
    const float* bias = memory.at(op.bias);
    const bool any_residual = op.residual != nowhere;
    for (long p = first_panel; p < last_panel; p++) {
      const long column = panels.start(p) * lanes;
      float* shifted[block_rows];
      const float* shifted_residual[block_rows];
      for (long r = 0; r < rows; r++) {
        shifted[r] = out[r] + column;
        if (any_residual) shifted_residual[r] = residual[r] + column;
      }
      const Finish finish{shifted,
                          any_residual ? shifted_residual : nullptr,
                          bias ? bias + column : nullptr,
                          smaller(panels.width(p) * lanes, op.out_channels - column),
                          rows,
                          first && !op.accumulate,
                          last};
      switch (panels.width(p)) {
        case 1: visit(Constant<1>{}, column, finish); break;
        case 2: visit(Constant<2>{}, column, finish); break;
        default: visit(Constant<3>{}, column, finish);
      }
    }
  }
};

// All output positions, or one phase per residue of the strides.
inline long list_phases(const Dense& op, Phase* phases) {
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

// Shares out blocks of rows. A Worker is made of a Block and `Worker::scratch_bytes(op, rows)` of memory for each thread;
// `prepares`: it copies the rows of a block before it multiplies them.
template <class Worker>
inline void share_out(const Dense& op, const Memory& memory, bool prepares) {
  Phase* phases = static_cast<Phase*>(
      malloc(sizeof(Phase) * static_cast<size_t>(op.window.stride[0] * op.window.stride[1] * op.window.stride[2])));
  const long phase_count = list_phases(op, phases);
  const long taps = op.window.taps();
  long rows = table_limit / taps / 24 * 24;
  rows = rows < 24 ? 24 : smaller(rows, block_rows);
  const Panels panels(op.out_channels);
  if (phase_count == 1) {  // equal blocks
    const long all = phases[0].rows(op.out.batch), count = (all + rows - 1) / rows;
    rows = smaller(rows, ((all + count - 1) / count + 11) / 12 * 12);
  }
  long blocks = 0;
  for (long p = 0; p < phase_count; p++) blocks += (phases[p].rows(op.out.batch) + rows - 1) / rows;
  // Few rows: share out the panels, too, so that threads end together. Rows are prepared anew for each share.
  const long wanted = (prepares ? 4 : 12) * team_size();
  const long splits = blocks >= wanted ? 1 : smaller(panels.count(), (wanted + blocks - 1) / blocks);

  in_parallel(blocks * splits, [&](Items& items) {
    const long segment_limit = taps * (op.inner / block_inner + 2);
    float* zeros = static_cast<float*>(calloc(static_cast<size_t>(op.inner), sizeof(float)));
    const float** table = static_cast<const float**>(malloc(sizeof(float*) * static_cast<size_t>(taps * block_rows)));
    float* out[block_rows];
    const float* residual[block_rows];
    Segment* segments = static_cast<Segment*>(malloc(sizeof(Segment) * static_cast<size_t>(segment_limit)));
    const size_t scratch_bytes = Worker::scratch_bytes(op, rows);
    void* scratch = scratch_bytes ? malloc(scratch_bytes) : nullptr;
    const Worker worker{{op, memory, zeros, table, out, residual, segments}, scratch};
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
    free(scratch);
    free(segments);
  });
  free(phases);
}

}  // namespace mn::MN_ISA
