// Convolutions of each channel by itself.
#include "makers.h"

namespace mn::steps {

Step channelwise(const Fields& f, const Kernels& k) {
  Channelwise op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.channels = f.whole("channels");
  op.x = f.value("x", op.in.positions() * op.channels);
  op.y = f.value("y", op.out.positions() * op.channels);
  op.weights = f.value("weights", op.window.taps() * op.channels);
  op.bias = f.optional("bias", op.channels);
  op.sums = f.optional("sums", op.out.batch * op.out.frames * op.out.height * op.channels);
  op.activation = f.activation("activation");
  op.transposed = f.flag("transposed");
  op.accumulate = f.flag("accumulate");
  return [op, run = k.channelwise](const Memory& m) { run(op, m); };
}

Step channelwise_weight_gradient(const Fields& f, const Kernels& k) {
  ChannelwiseWeightGradient op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.channels = f.whole("channels");
  op.x = f.value("x", op.in.positions() * op.channels);
  op.dy = f.value("dy", op.out.positions() * op.channels);
  op.dw = f.value("dw", op.window.taps() * op.channels);
  return [op, run = k.channelwise_weight_gradient](const Memory& m) { run(op, m); };
}

}  // namespace mn::steps
