#include "instruction_set.h"

#include <cstdlib>
#include <cstring>

#if defined(MN_X86)
#include <cpuid.h>
#endif

namespace mn {

#if defined(MN_X86)
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512_bf16 {
void dense_bf16(const Dense&, const Memory&);
}
namespace avx2 {
extern const Kernels kernels;
}
#endif
namespace portable {
extern const Kernels kernels;
}

#if defined(MN_X86)
namespace {

// What processor and system have together. Asked of cpuid itself: __builtin_cpu_supports answers no in programs that are
// linked with some compilers' libraries. (Intel SDM volume 1, 14.3 and 15.2; volume 2, CPUID and XGETBV.)
struct Features {
  bool avx2 = false, avx512 = false, bf16 = false;
  Features() {
    const auto has = [](unsigned value, int bit) { return (value >> bit & 1) != 0; };
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, 27) || !has(c, 28)) return;  // OSXSAVE, AVX
    const bool fma = has(c, 12);
    unsigned saved, upper;  // registers that the system keeps
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    avx2 = fma && has(b, 5) && (saved & 0x06) == 0x06;
    avx512 = avx2 && (saved & 0xe6) == 0xe6 && has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31);  // F, DQ, BW, VL
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) bf16 = avx512 && has(a, 5);
  }
};

}  // namespace
#endif

// MN_VIDEO_ISA=avx512 (without bfloat16), avx2 or portable asks for less than the best, to compare or to test.
const Kernels& best_kernels() {
#if defined(MN_X86)
  static const Features features;
  static const Kernels with_bf16 = [] {
    Kernels kernels = avx512::kernels;
    kernels.has_bf16 = true;
    kernels.dense_bf16 = avx512_bf16::dense_bf16;
    return kernels;
  }();
  const char* asked = std::getenv("MN_VIDEO_ISA");
  const auto at_most = [&](const char* name) { return asked && std::strcmp(asked, name) == 0; };
  if (at_most("portable") || !features.avx2) return portable::kernels;
  if (at_most("avx2") || !features.avx512) return avx2::kernels;
  return at_most("avx512") || !features.bf16 ? avx512::kernels : with_bf16;
#else
  return portable::kernels;
#endif
}

}  // namespace mn
