// What the convolutions by Winograd's minimal filtering F(4, 3) and their weight gradient share: the points and the
// transforms to and from values there, and how a frame (or the frames) are covered by tiles.
#pragma once
#include "activation.h"
#include "panels.h"

namespace mn::MN_ISA {

// The points are 0, ±point_a, ±point_b and infinity. Of the pairs that are exact in binary and whose products are, this
// one has the smallest error: half of that of the customary 1 and 2.
constexpr float point_a = 0.625f, point_b = 1.5f;
constexpr float point_a2 = point_a * point_a, point_b2 = point_b * point_b;
// One over the product of a point's distances from the others.
constexpr float at_0 = 1 / (point_a2 * point_b2), at_a = 1 / (2 * point_a2 * (point_a2 - point_b2)),
                at_b = 1 / (2 * point_b2 * (point_b2 - point_a2));

// Six values that a tile sees on an axis → their values at the points.
struct InputTransform {
  static constexpr int in = 6, out = 6;
  template <class At>
  static inline __attribute__((always_inline)) void run(At d) {
    const Vector even_a = d(4) - point_b2 * d(2), odd_a = point_a * d(3) - point_a * point_b2 * d(1);
    const Vector even_b = d(4) - point_a2 * d(2), odd_b = point_b * d(3) - point_b * point_a2 * d(1);
    d(0) = d(4) - (point_a2 + point_b2) * d(2) + point_a2 * point_b2 * d(0);
    d(5) = d(5) - (point_a2 + point_b2) * d(3) + point_a2 * point_b2 * d(1);
    d(1) = even_a + odd_a;
    d(2) = even_a - odd_a;
    d(3) = even_b + odd_b;
    d(4) = even_b - odd_b;
  }
};

// Products at the points → the four outputs of a tile.
struct OutputTransform {
  static constexpr int in = 6, out = 4;
  template <class At>
  static inline __attribute__((always_inline)) void run(At m) {
    const Vector sum_a = m(1) + m(2), difference_a = m(1) - m(2);
    const Vector sum_b = m(3) + m(4), difference_b = m(3) - m(4);
    m(0) = m(0) + sum_a + sum_b;
    m(1) = point_a * difference_a + point_b * difference_b;
    m(2) = point_a2 * sum_a + point_b2 * sum_b;
    m(3) = m(5) + point_a * point_a2 * difference_a + point_b * point_b2 * difference_b;
  }
};

// The three taps of a filter → its values at the points.
struct FilterTransform {
  static constexpr int in = 3, out = 6;
  template <class At>
  static inline __attribute__((always_inline)) void run(At g) {
    const Vector g0 = g(0), g1 = g(1), g2 = g(2);
    const Vector even_a = at_a * g0 + at_a * point_a2 * g2, odd_a = at_a * point_a * g1;
    const Vector even_b = at_b * g0 + at_b * point_b2 * g2, odd_b = at_b * point_b * g1;
    g(0) = at_0 * g0;
    g(1) = even_a + odd_a;
    g(2) = even_a - odd_a;
    g(3) = even_b + odd_b;
    g(4) = even_b - odd_b;
    g(5) = g2;
  }
};

// The four gradients of a tile's outputs → their values at the points: the output transform transposed.
struct GradientTransform {
  static constexpr int in = 4, out = 6;
  template <class At>
  static inline __attribute__((always_inline)) void run(At g) {
    const Vector even_a = g(0) + point_a2 * g(2), odd_a = point_a * g(1) + point_a * point_a2 * g(3);
    const Vector even_b = g(0) + point_b2 * g(2), odd_b = point_b * g(1) + point_b * point_b2 * g(3);
    g(5) = g(3);
    g(1) = even_a + odd_a;
    g(2) = even_a - odd_a;
    g(3) = even_b + odd_b;
    g(4) = even_b - odd_b;
  }
};

// Sums of products at the points → the gradients of three taps: the filter transform transposed.
struct TapTransform {
  static constexpr int in = 6, out = 3;
  template <class At>
  static inline __attribute__((always_inline)) void run(At m) {
    const Vector sum_a = at_a * (m(1) + m(2)), difference_a = at_a * point_a * (m(1) - m(2));
    const Vector sum_b = at_b * (m(3) + m(4)), difference_b = at_b * point_b * (m(3) - m(4));
    m(0) = at_0 * m(0) + sum_a + sum_b;
    m(1) = difference_a + difference_b;
    m(2) = point_a2 * sum_a + point_b2 * sum_b + m(5);
  }
};

struct TilePlace {
  long sample, frame, row, column;  // of its first output
};

// Tiles of 4×4 outputs of a frame; 36 points.
struct Plane {
  static constexpr int points = 36, outputs = 16, taps = 9;
  static constexpr int output_index(int i) { return i / 4 * 6 + i % 4; }
  static constexpr int tap_index(int i) { return i / 3 * 6 + i % 3; }
  // A transform on both axes, in place in [6, 6].
  template <class Transform>
  static inline __attribute__((always_inline)) void apply(Vector* v) {
#pragma GCC unroll 6
    for (int column = 0; column < Transform::in; column++)
      Transform::run([&](int i) -> Vector& { return v[i * 6 + column]; });
#pragma GCC unroll 6
    for (int row = 0; row < Transform::out; row++) Transform::run([&](int i) -> Vector& { return v[row * 6 + i]; });
  }
};

// Tiles of 4 frames of a position; 6 points.
struct Line {
  static constexpr int points = 6, outputs = 4, taps = 3;
  static constexpr int output_index(int i) { return i; }
  static constexpr int tap_index(int i) { return i; }
  template <class Transform>
  static inline __attribute__((always_inline)) void apply(Vector* v) {
    Transform::run([&](int i) -> Vector& { return v[i]; });
  }
};

template <class Axes>
struct Tiling {
  Extent extent;
  long rows, columns, frames;  // of tiles
  explicit Tiling(const Extent& e) : extent(e) {
    const bool plane = Axes::taps == 9;
    rows = plane ? (e.height + 3) / 4 : e.height;
    columns = plane ? (e.width + 3) / 4 : e.width;
    frames = plane ? e.frames : (e.frames + 3) / 4;
  }
  long count() const { return extent.batch * frames * rows * columns; }
  TilePlace tile(long index) const {
    const long column = index % columns, row = index / columns % rows;
    const long frame = index / columns / rows % frames, sample = index / columns / rows / frames;
    if (Axes::taps == 9) return {sample, frame, 4 * row, 4 * column};
    return {sample, 4 * frame, row, column};
  }
  long position(const TilePlace& t) const {
    return ((t.sample * extent.frames + t.frame) * extent.height + t.row) * extent.width + t.column;
  }
  // The rows of channels that the tile sees; `zeros` beyond the border.
  void inputs(const TilePlace& t, const float* x, long channels, const float* zeros, const float** from) const {
    if constexpr (Axes::taps == 9) {
      const float* first = x + (position(t) - extent.width - 1) * channels;
      for (long i = 0; i < 6; i++)
        for (long j = 0; j < 6; j++) {
          const long h = t.row - 1 + i, w = t.column - 1 + j;
          const bool inside = h >= 0 && h < extent.height && w >= 0 && w < extent.width;
          from[i * 6 + j] = inside ? first + (i * extent.width + j) * channels : zeros;
        }
    } else {
      for (long i = 0; i < 6; i++) {
        const long frame = t.frame - 1 + i;
        from[i] = frame >= 0 && frame < extent.frames ? x + (position(t) + (i - 1) * extent.frame()) * channels : zeros;
      }
    }
  }
  // The positions of the tile's outputs; -1 beyond the border.
  void outputs(const TilePlace& t, long* positions) const {
    const long first = position(t);
    for (long i = 0; i < Axes::outputs; i++) {
      if (Axes::taps == 9) {
        const bool inside = t.row + i / 4 < extent.height && t.column + i % 4 < extent.width;
        positions[i] = inside ? first + i / 4 * extent.width + i % 4 : -1;
      } else {
        positions[i] = t.frame + i < extent.frames ? first + i * extent.frame() : -1;
      }
    }
  }
};

// Values at neighbouring points must not fall on the same sets of a cache.
inline long staggered(long count) { return (count + 63) / 64 * 64 + 16; }

}  // namespace mn::MN_ISA
