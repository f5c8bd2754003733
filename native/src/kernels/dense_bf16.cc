// Dense convolutions and linear layers over bfloat16: rows are rounded as a block of them is gathered, weights when they
// are packed; products of two neighbours of the inner dimension are summed in float32. Compiled once more for
// processors with avx512_bf16, which have an instruction for that; elsewhere the same numbers come more slowly.
#include <cstdint>

#include "dense.h"

namespace mn::MN_ISA {
namespace {

// Two bfloat16 numbers a lane, the even one in the low half.
using Pairs = IntVector;
typedef Pairs UnalignedPairs __attribute__((aligned(4), may_alias));
typedef std::uint32_t Bits __attribute__((vector_size(MN_VECTOR_BYTES)));
typedef std::uint16_t Halves __attribute__((vector_size(MN_VECTOR_BYTES / 2)));
typedef Halves UnalignedHalves __attribute__((aligned(2), may_alias));

// Depth that is multiplied at once, and what a row of it takes: whole vectors are stored beyond its end.
constexpr long range_inner = most_inner;
constexpr long row_stride = range_inner + 32;

constexpr long round_to_pairs(long count) { return round_up(count, 2); }

// The nearest bfloat16 numbers, of two equally near the even one; what is no number stays none.
inline void store_rounded(std::uint16_t* to, Vector v) {
#if defined(__AVX512BF16__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  const Bits bits = (Bits)v;
  const Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Bits kept = v == v ? rounded : (bits >> 16) | 0x40;
  *reinterpret_cast<UnalignedHalves*>(to) = __builtin_convertvector(kept, Halves);
#endif
}

// sum + a · b of both halves: the odd product first, as the instruction does.
inline Vector add_products(Vector sum, Pairs a, Pairs b) {
#if defined(__AVX512BF16__)
  return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
  const Bits odd = 0xffff0000u - Bits{};
  sum += (Vector)((Bits)a & odd) * (Vector)((Bits)b & odd);
  sum += (Vector)((Bits)a << 16) * (Vector)((Bits)b << 16);
  return sum;
#endif
}

struct Tile : Finish {
  const std::uint16_t* rows;  // rounded, row_stride apart
  const float* panel;
  long pairs;
};

template <int Vectors, int A>
__attribute__((noinline)) void compute_tile(const Tile& tile) {
  constexpr int R = tile_rows<Vectors>;
  const float* panel = tile.panel;
  Vector sums[R][Vectors] = {};
#pragma GCC unroll 2
  for (long k = 0; k < tile.pairs; k++) {
    Pairs weights[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) weights[v] = *reinterpret_cast<const UnalignedPairs*>(panel + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      std::int32_t pair;
      memcpy(&pair, tile.rows + r * row_stride + 2 * k, sizeof pair);
      const Pairs x = pair - Pairs{};
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) sums[r][v] = add_products(sums[r][v], x, weights[v]);
    }
    panel += Vectors * lanes;
  }
  finish_tile<A>(sums, tile);
}

struct Worker : Block {
  void* scratch;

  // Whole tiles of rows.
  static size_t scratch_bytes(const Dense&, long rows) {
    return sizeof(std::uint16_t) * static_cast<size_t>(round_up(rows, 24) * row_stride);
  }

  void run(const Phase& phase, long first_row, long rows, long first_panel, long last_panel) const {
    const long count = list_segments(phase);
    lay_out(phase, first_row, rows);
    const float* packed = memory.at(op.packed);
    const long tap_pairs = round_to_pairs(op.inner) / 2;
    for (long from = 0, to = 0; from < count; from = to) {
      long length = 0;
      while (to < count && (to == from || length + round_to_pairs(segments[to].length) <= range_inner))
        length += round_to_pairs(segments[to++].length);
      with_activation(op.prologue, [&](auto a) { gather<decltype(a)::value>(from, to, first_row, rows); });
      const long first_pair = segments[from].tap * tap_pairs + segments[from].from / 2;
      for_panels(first_panel, last_panel, rows, from == 0, to >= count, [&](auto vectors, long column, const Finish& finish) {
        constexpr int Vectors = decltype(vectors)::value;
        const float* weights = packed + op.window.taps() * tap_pairs * column + first_pair * Vectors * lanes;
        for_tiles<Vectors>(Tile{finish, rounded(), weights, length / 2}, rows, op.activation, [&](auto a, long row, Tile& tile) {
          tile.rows = rounded() + row * row_stride;
          compute_tile<Vectors, decltype(a)::value>(tile);
        });
      });
    }
  }

  std::uint16_t* rounded() const { return static_cast<std::uint16_t*>(scratch); }

  // Rounds what the rows see of some segments, one after the other; gated and activated where they are to be.
  template <int A>
  void gather(long from, long to, long first_row, long rows) const {
    const float* gates = memory.at(op.gates);
    for (long r = 0; r < rows; r++) {
      const float* row_gates = gates ? gates + (first_row + r) / op.out.sample() * op.inner : nullptr;
      std::uint16_t* at = rounded() + r * row_stride;
      for (long s = from; s < to; s++) {
        const Segment& segment = segments[s];
        const float* x = table[segment.tap * block_rows + r] + segment.from;
        for_vectors(0, segment.length, [&](long c, auto span) {
          Vector v = span.load(x + c);
          if (row_gates) v *= span.load(row_gates + segment.from + c);
          store_rounded(at + c, activate<A>(v));
        });
        at += round_to_pairs(segment.length);
      }
    }
  }
};

}  // namespace

// Floats that the packed weights take.
long packed_size_bf16(long taps, long in, long out) {
  return taps * round_to_pairs(in) / 2 * Panels(out).vectors * lanes;
}

// From [taps, in, out] to panels of [taps, pairs of in, vectors · lanes], zero beyond `in` and `out`.
void pack_bf16(const float* weights, float* packed, long taps, long in, long out) {
  const Panels panels(out);
  const long pairs = round_to_pairs(in) / 2;
  for_each(panels.count(), [&](long p) {
    const long width = panels.width(p) * lanes, start = panels.start(p) * lanes;
    const long exists = smaller(width, out - start);
    float* to = packed + taps * pairs * start;
    memset(to, 0, sizeof(float) * static_cast<size_t>(taps * pairs * width));
    for (long tap = 0; tap < taps; tap++)
      for (long k = 0; k < in; k++) {
        std::uint16_t* pair = reinterpret_cast<std::uint16_t*>(to + (tap * pairs + k / 2) * width) + k % 2;
        for (long c = 0; c < exists; c += lanes) {
          const long n = smaller(lanes, exists - c);
          std::uint16_t row[lanes];
          store_rounded(row, Part{n}.load(weights + (tap * in + k) * out + start + c));
          for (long i = 0; i < n; i++) pair[2 * (c + i)] = row[i];
        }
      }
  });
}

void dense_bf16(const Dense& op, const Memory& memory) { share_out<Worker>(op, memory, true); }

}  // namespace mn::MN_ISA
