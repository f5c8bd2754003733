// Frames coming in: bytes to normalised floats, in a border of zeros.
#include <string.h>

#include "kernels.h"
#include "parallel.h"

namespace mn::MN_ISA {

void input(const Input& op, const Memory& memory) {
  const External& source = memory.externals[op.external];
  const Extent& in = op.in;
  const long height = in.height + 2 * op.border_height, width = in.width + 2 * op.border_width;
  float table[3][256];
  for (int channel = 0; channel < 3; channel++)
    for (int byte = 0; byte < 256; byte++) table[channel][byte] = static_cast<float>(byte) * op.factor[channel] + op.offset[channel];
  float* y = memory.at(op.y);
  for_each(in.batch * in.frames * height, [&](long line) {
    const long frame = line / height, h = line % height - op.border_height;
    float* to = y + line * width * 3;
    const bool inside = h >= 0 && h < in.height;
    memset(to, 0, static_cast<size_t>(inside ? 3 * op.border_width : 3 * width) * sizeof(float));
    if (!inside) return;
    to += 3 * op.border_width;
    const long from = (frame * in.height + h) * in.width * 3;
    if (source.bytes) {
      const unsigned char* bytes = static_cast<const unsigned char*>(source.data) + from;
      for (long i = 0; i < 3 * in.width; i += 3)
        for (int channel = 0; channel < 3; channel++) to[i + channel] = table[channel][bytes[i + channel]];
    } else {
      memcpy(to, static_cast<const float*>(source.data) + from, static_cast<size_t>(3 * in.width) * sizeof(float));
    }
    memset(to + 3 * in.width, 0, static_cast<size_t>(3 * op.border_width) * sizeof(float));
  });
}

}  // namespace mn::MN_ISA
