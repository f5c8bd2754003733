#include "instruction_set.h"

#include <cstdlib>
#include <cstring>

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

// MN_VIDEO_ISA=avx512 (without bfloat16), avx2 or portable asks for less than the best, to compare or to test.
const Kernels& best_kernels() {
#if defined(MN_X86)
  const char* asked = std::getenv("MN_VIDEO_ISA");
  const bool only_portable = asked && std::strcmp(asked, "portable") == 0;
  const bool at_most_avx2 = only_portable || (asked && std::strcmp(asked, "avx2") == 0);
  const bool at_most_avx512 = asked && std::strcmp(asked, "avx512") == 0;
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (has_avx512 && !at_most_avx2) {
    static const Kernels with_bf16 = [] {
      Kernels kernels = avx512::kernels;
      kernels.has_bf16 = true;
      kernels.dense_bf16 = avx512_bf16::dense_bf16;
      return kernels;
    }();
    return __builtin_cpu_supports("avx512bf16") && !at_most_avx512 ? with_bf16 : avx512::kernels;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && !only_portable) return avx2::kernels;
#endif
  return portable::kernels;
}

}  // namespace mn
