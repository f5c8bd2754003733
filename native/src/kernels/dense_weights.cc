// The gradient of dense weights: for each tap the product of the transposed input with the gradient of the
// output. Blocks of positions of the latter are packed into panels; input rows are read in place through a table of
// pointers, or copied where they are wide.
#include <stdlib.h>
#include <string.h>

#include "activation.h"
#include "partials.h"

namespace mn::MN_ISA {
namespace {

// Sums of a tile, which registers hold: input channels × vectors of output channels.
constexpr long tile_sums = MN_VECTOR_BYTES == 64 ? 24 : 12;
constexpr int widest_tile = 3, highest_tile = 12;
constexpr long block_positions = 192;
constexpr long block_rows = 192;     // input channels (of several taps, where they are few) of a work item
constexpr long block_columns = 512;  // output channels of a work item

// The columns are covered by tiles of two vectors; where that leaves one over, the first has three.
inline int tile_vectors(long first_vector, long vectors) {
  if (first_vector > 0 || vectors % 2 == 0) return 2;
  return vectors == 1 ? 1 : widest_tile;
}

template <int Rows, int Vectors>
inline __attribute__((always_inline)) void add(const float* a, const float* b, Vector (&sums)[Rows][Vectors]) {
  Vector gradient[Vectors];
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; v++) gradient[v] = load(b + v * lanes);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    const Vector value = splat(a[r]);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) sums[r][v] += value * gradient[v];
  }
}

// dw[Rows, columns] += x[positions, Rows]ᵀ · b[positions, Vectors], x's rows from channel `first` on.
template <int Rows, int Vectors>
void compute_tile(const float* const* x, long first, const float* b, long positions, float* dw, long stride, long columns) {
  // Few sums wait for themselves: then every other position has its own.
  constexpr int sets = Rows * Vectors <= 6 ? 2 : 1;
  Vector sums[Rows][Vectors] = {}, others[Rows][Vectors] = {};
  long m = 0;
  if constexpr (sets == 2)
    for (; m + 2 <= positions; m += 2) {
      add(x[m] + first, b + m * Vectors * lanes, sums);
      add(x[m + 1] + first, b + (m + 1) * Vectors * lanes, others);
    }
#pragma GCC unroll 2
  for (; m < positions; m++) add(x[m] + first, b + m * Vectors * lanes, sums);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) {
      const long left = columns - v * lanes;
      if (left <= 0) continue;
      float* to = dw + r * stride + v * lanes;
      const Vector total = sets == 2 ? sums[r][v] + others[r][v] : sums[r][v];
      if (left >= lanes) store(to, load(to) + total);
      else Part{left}.store(to, Part{left}.load(to) + total);
    }
  }
}

using ComputeTile = void (*)(const float* const*, long, const float*, long, float*, long, long);

template <int Vectors, int Rows = smaller(highest_tile, tile_sums / Vectors)>
ComputeTile tile_of(long rows) {
  if constexpr (Rows > 1)
    if (rows < Rows) return tile_of<Vectors, Rows - 1>(rows);
  return compute_tile<Rows, Vectors>;
}

// The tiles below each other of one column of them, as equal as they come.
template <int Vectors>
void compute_column(const float* const* x, long inputs, const float* b, long positions, float* dw, long stride, long columns) {
  constexpr long most = smaller(highest_tile, tile_sums / Vectors);
  const long tiles = (inputs + most - 1) / most;
  for (long tile = 0; tile < tiles; tile++) {
    const long first = inputs * tile / tiles, rows = inputs * (tile + 1) / tiles - first;
    tile_of<Vectors>(rows)(x, first, b, positions, dw + first * stride, stride, columns);
  }
}

// How the work falls into items.
struct Split {
  long inputs, in_blocks;    // input channels of an item
  long taps, tap_groups;     // of an item
  long columns, out_blocks;  // output channels of an item
  long parts;                // of the positions
  bool copied;

  explicit Split(const DenseWeightGradient& op) {
    const long all_taps = op.window.taps(), positions = op.out.positions();
    in_blocks = (op.inner + block_rows - 1) / block_rows;
    inputs = (op.inner + in_blocks - 1) / in_blocks;
    // Few inputs for each: taps share the packed gradients.
    taps = smaller(all_taps, larger(1, block_rows / 4 / inputs));
    tap_groups = (all_taps + taps - 1) / taps;
    out_blocks = (op.out_channels + block_columns - 1) / block_columns;
    columns = round_up((op.out_channels + out_blocks - 1) / out_blocks, 2 * lanes);
    // Too few items for the threads: split the positions, too, and add the partial sums in a fixed order.
    const long items = in_blocks * tap_groups * out_blocks, wanted = 2 * team_size();
    parts = items >= wanted ? 1 : smaller((wanted + items - 1) / items, (positions + block_positions - 1) / block_positions);
    copied = all_taps == 1 && op.in_channels >= 48;
  }
  long items() const { return in_blocks * tap_groups * out_blocks * parts; }
};

// Wide input rows are often powers of two apart and then fight for the same cache sets: copies lie an odd number of
// cache lines apart. Not worth it for each of many taps.
constexpr long copy_stride = round_up(block_rows, 32) + 16;

struct Worker {
  const DenseWeightGradient& op;
  const Memory& memory;
  const Split& split;
  const float* zeros;
  const float** rows;  // [taps, block_positions]: the inputs that each position sees
  float* a;            // their copies
  float* b;            // [tiles of vectors, positions, vectors of a tile]

  // Points to the inputs of `length` positions on one output line, from position `at` of the block on.
  void point(long tap, long sample, long t, long h, long column, long length, long first_input, long at) const {
    const Window& w = op.window;
    const Extent& in = op.in;
    const long it = t * w.stride[0] - w.padding[0] + tap / (w.kernel[1] * w.kernel[2]);
    const long ih = h * w.stride[1] - w.padding[1] + tap / w.kernel[2] % w.kernel[1];
    const long first = column * w.stride[2] - w.padding[2] + tap % w.kernel[2];
    const bool inside = it >= 0 && it < in.frames && ih >= 0 && ih < in.height;
    const float* from =
        memory.at(op.x) + (((sample * in.frames + it) * in.height + ih) * in.width + first) * op.in_channels + first_input;
    for (long m = 0; m < length; m++) {
      const long iw = first + m * w.stride[2];
      rows[at + m] = inside && iw >= 0 && iw < in.width ? from + m * w.stride[2] * op.in_channels : zeros;
    }
  }

  // Packs a block of positions; returns how many of them see something.
  long pack(long block, long count, long first_tap, long taps, long first_input, long inputs, long column, long columns) const {
    const Extent& out = op.out;
    const float* gradients[block_positions];
    for (long m = 0; m < count; m++) gradients[m] = memory.at(op.dy) + (block + m) * op.out_channels + column;
    for (long m = 0; m < count;) {
      const long position = block + m, w = position % out.width, length = smaller(count - m, out.width - w);
      const long line = position / out.width, frame = line / out.height;
      for (long tap = 0; tap < taps; tap++)
        point(first_tap + tap, frame / out.frames, frame % out.frames, line % out.height, w, length, first_input,
              tap * block_positions + m);
      m += length;
    }
    if (taps == 1) {  // positions that see nothing add nothing
      long seen = 0;
      for (long m = 0; m < count; m++)
        if (rows[m] != zeros) {
          rows[seen] = rows[m];
          gradients[seen++] = gradients[m];
        }
      count = seen;
    }
    for (long m = 0; split.copied && m < count; m++) {
      float* copy = a + m * copy_stride;
      for_vectors(0, inputs, [&](long c, auto span) { span.store(copy + c, span.load(rows[m] + c)); });
      rows[m] = copy;
    }
    const long vectors = (columns + lanes - 1) / lanes;
    for (long m = 0; m < count; m++)
      for (long first = 0, tile; first < vectors; first += tile) {
        tile = tile_vectors(first, vectors);
        float* to = b + (first * block_positions + m * tile) * lanes;
        const float* from = gradients[m] + first * lanes;
        for (long v = 0; v < tile; v++) {
          const long left = columns - (first + v) * lanes;
          store(to + v * lanes, left >= lanes ? load(from + v * lanes) : Part{left}.load(from + v * lanes));
        }
      }
    return count;
  }

  // Asks for what positions from `first` to `last` read: packing a block would otherwise wait for memory.
  void prefetch(long first, long last, long first_input, long inputs, long column, long columns) const {
    const bool in_place = op.in.positions() == op.out.positions();
    for (long m = first; m < last; m++) {
      const float* gradients = memory.at(op.dy) + m * op.out_channels + column;
      for (long c = 0; c < columns; c += 16) __builtin_prefetch(gradients + c, 0, 2);
      const float* x = memory.at(op.x) + m * op.in_channels + first_input;
      for (long c = 0; in_place && c < inputs; c += 16) __builtin_prefetch(x + c, 0, 2);
    }
  }

  void run(long item, float* partial) const {
    const long size = op.window.taps() * op.inner * op.out_channels;
    const long part = item % split.parts, out_block = item / split.parts % split.out_blocks;
    const long in_block = item / split.parts / split.out_blocks % split.in_blocks;
    const long first_tap = item / split.parts / split.out_blocks / split.in_blocks * split.taps;
    const long taps = smaller(split.taps, op.window.taps() - first_tap);
    const long first_input = in_block * split.inputs, inputs = smaller(split.inputs, op.inner - first_input);
    const long column = out_block * split.columns, columns = smaller(split.columns, op.out_channels - column);
    float* dw = partial + part * size + (first_tap * op.inner + first_input) * op.out_channels + column;
    const long tap_size = op.inner * op.out_channels;
    const bool adds = op.accumulate && split.parts == 1;
    for (long tap = 0; tap < taps && !adds; tap++)
      for (long row = 0; row < inputs; row++)
        memset(dw + tap * tap_size + row * op.out_channels, 0, static_cast<size_t>(columns) * sizeof(float));
    const long positions = op.out.positions(), last = positions * (part + 1) / split.parts;
    const long vectors = (columns + lanes - 1) / lanes;
    for (long block = positions * part / split.parts; block < last; block += block_positions) {
      const long count =
          pack(block, smaller(block_positions, last - block), first_tap, taps, first_input, inputs, column, columns);
      for (long first = 0, tile; first < vectors; first += tile) {
        tile = tile_vectors(first, vectors);
        const long next = block + block_positions, most = smaller(block_positions, last - next);
        prefetch(next + most * first / vectors, next + most * (first + tile) / vectors, first_input, inputs, column, columns);
        const auto compute = tile == 1 ? compute_column<1> : tile == 2 ? compute_column<2> : compute_column<widest_tile>;
        for (long tap = 0; tap < taps; tap++)
          compute(rows + tap * block_positions, inputs, b + first * block_positions * lanes, count,
                  dw + tap * tap_size + first * lanes, op.out_channels, columns - first * lanes);
      }
    }
  }
};

}  // namespace

void dense_weight_gradient(const DenseWeightGradient& op, const Memory& memory) {
  const Split split(op);
  const long size = op.window.taps() * op.inner * op.out_channels;
  float* dw = memory.at(op.dw);
  float* partial = split.parts == 1 ? dw : static_cast<float*>(malloc(static_cast<size_t>(split.parts * size) * sizeof(float)));
  in_parallel(split.items(), [&](Items& items) {
    const long copies = split.copied ? block_positions * copy_stride : 0, packed = block_positions * split.columns;
    float* a = static_cast<float*>(malloc(static_cast<size_t>(copies + packed) * sizeof(float)));
    float* zeros = static_cast<float*>(calloc(static_cast<size_t>(split.inputs), sizeof(float)));
    const float** rows = static_cast<const float**>(malloc(static_cast<size_t>(split.taps * block_positions) * sizeof(float*)));
    const Worker worker{op, memory, split, zeros, rows, a, a + copies};
    for (long item; (item = items.next()) >= 0;) worker.run(item, partial);
    free(rows);
    free(zeros);
    free(a);
  });
  if (split.parts == 1) return;
  add_partials(partial, split.parts, size, dw, op.accumulate);
  free(partial);
}

}  // namespace mn::MN_ISA
