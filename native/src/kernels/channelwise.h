// What channelwise convolutions and their weight gradient share: how work is cut so that rows stay in the caches.
#pragma once
#include "activation.h"

namespace mn::MN_ISA {

// Blocks of output rows in consecutive frames: the input rows that the next frame sees again must still be in the
// second cache, of which `cached_bytes` are for them. Where these are fewer than `wanted`, frames are shared out, too, and
// rows more finely.
struct Blocks {
  long rows, row_blocks, frame_blocks;
  Blocks(const Extent& in, const Extent& out, const Window& w, long row_stride, long channels, long cached_bytes, long wanted) {
    const long line_bytes = in.width * channels * 4 * w.kernel[0];
    const long fitting = (cached_bytes / line_bytes - w.kernel[1]) / row_stride + 1;
    const long frames = out.batch * out.frames;
    const long least = smaller((wanted + frames - 1) / frames, out.height);
    const long most = fitting < 1 ? 1 : smaller(fitting, (out.height + least - 1) / least);
    row_blocks = (out.height + most - 1) / most;
    rows = (out.height + row_blocks - 1) / row_blocks;
    const long blocks = out.batch * row_blocks;
    frame_blocks = smaller(out.frames, (wanted + blocks - 1) / blocks);
  }
  long count(const Extent& out) const { return out.batch * frame_blocks * row_blocks; }
  // Calls visit(sample, frame, row) for every output row of a block.
  template <class Visit>
  void for_rows(const Extent& out, long block, Visit visit) const {
    const long first = block % row_blocks * rows, part = block / row_blocks % frame_blocks;
    for (long t = out.frames * part / frame_blocks; t < out.frames * (part + 1) / frame_blocks; t++)
      for (long h = first; h < smaller(first + rows, out.height); h++) visit(block / row_blocks / frame_blocks, t, h);
  }
};

// Asks for values that the block's next frame needs: the order of a block's rows is nothing that a processor foresees.
inline void prefetch(const float* from, long count) {
  for (long i = 0; i < count; i += 16) __builtin_prefetch(from + i, 0, 2);
}

}  // namespace mn::MN_ISA
