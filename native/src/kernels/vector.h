// Vectors of floats as wide as the instruction set that a file is compiled for, written with GCC's and Clang's
// vector extensions so that one source serves AVX-512, AVX2, SSE2 and NEON. Every kernel file is compiled once
// per instruction set with MN_ISA (a namespace) and MN_VECTOR_BYTES set; nothing here may come from the
// standard library, whose inline functions the linker would share between instruction sets.
#pragma once
#if defined(__AVX__)
#include <immintrin.h>  // masked loads of the last few channels; nothing else is written for one processor
#endif

namespace mn::MN_ISA {

typedef float Vector __attribute__((vector_size(MN_VECTOR_BYTES)));
typedef int IntVector __attribute__((vector_size(MN_VECTOR_BYTES)));
typedef float UnalignedVector __attribute__((vector_size(MN_VECTOR_BYTES), aligned(4)));

constexpr long lanes = MN_VECTOR_BYTES / 4;

inline Vector load(const float* p) { return *reinterpret_cast<const UnalignedVector*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<UnalignedVector*>(p) = v; }
inline Vector splat(float x) { return x - Vector{}; }

inline Vector max(Vector a, Vector b) { return a > b ? a : b; }
inline Vector min(Vector a, Vector b) { return a < b ? a : b; }

inline float sum(Vector v) {
  float total = 0;
  for (long i = 0; i < lanes; i++) total += v[i];
  return total;
}

constexpr long smaller(long a, long b) { return a < b ? a : b; }
constexpr long larger(long a, long b) { return a > b ? a : b; }
constexpr long round_up(long a, long to) { return (a + to - 1) / to * to; }

// A whole vector of channels, or the last few: the same code is compiled for both.
struct Whole {
  Vector load(const float* p) const { return MN_ISA::load(p); }
  void store(float* p, Vector v) const { MN_ISA::store(p, v); }
};
struct Part {
  long count;
#if MN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  Vector load(const float* p) const { return (Vector)_mm512_maskz_loadu_ps((1u << count) - 1, p); }
  void store(float* p, Vector v) const { _mm512_mask_storeu_ps(p, (1u << count) - 1, (__m512)v); }
#elif MN_VECTOR_BYTES == 32 && defined(__AVX__)
  Vector load(const float* p) const {
    alignas(32) static const int mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return (Vector)_mm256_maskload_ps(p, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask + 8 - count)));
  }
  // In pieces of 4, 2 and 1: a masked store is slow on many processors.
  void store(float* p, Vector v) const {
    __m128 rest = _mm256_castps256_ps128((__m256)v);
    if (count & 4) {
      _mm_storeu_ps(p, rest);
      rest = _mm256_extractf128_ps((__m256)v, 1);
      p += 4;
    }
    if (count & 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
      rest = _mm_movehl_ps(rest, rest);
      p += 2;
    }
    if (count & 1) _mm_store_ss(p, rest);
  }
#else
  Vector load(const float* p) const {
    Vector v{};
    for (long i = 0; i < count; i++) v[i] = p[i];
    return v;
  }
  void store(float* p, Vector v) const {
    for (long i = 0; i < count; i++) p[i] = v[i];
  }
#endif
};

// Calls visit(i, span) for every vector of [begin, end): whole ones, then the rest.
template <class Visit>
inline void for_vectors(long begin, long end, Visit visit) {
  long i = begin;
  for (; i + lanes <= end; i += lanes) visit(i, Whole{});
  if (i < end) visit(i, Part{end - i});
}

// e^x to about 2 units in the last place for |x| <= 87, saturating outside.
inline Vector exponential(Vector x) {
  x = min(max(x, splat(-87.0f)), splat(87.0f));
  const Vector shifter = splat(12582912.0f);  // 1.5 · 2^23: adding it rounds to whole numbers
  const Vector power = (x * splat(1.44269504f) + shifter) - shifter;
  const Vector r = (x - power * splat(0.693359375f)) - power * splat(-2.12194440e-4f);
  Vector p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  p = p * r * r + r + splat(1.0f);
  const IntVector bits = (__builtin_convertvector(power, IntVector) + 127) << 23;
  return p * (Vector)bits;  // the same bits as floats
}

inline Vector sigmoid(Vector x) { return splat(1.0f) / (splat(1.0f) + exponential(-x)); }

}  // namespace mn::MN_ISA
