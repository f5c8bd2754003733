// Convolutions by Winograd's minimal filtering.
#include "makers.h"

namespace mn::steps {
namespace {

template <class Op>
Op winograd_sizes(const Fields& f) {
  Op op{};
  op.extent = f.extent("extent");
  op.in_channels = f.whole("inChannels");
  op.out_channels = f.whole("outChannels");
  op.temporal = f.flag("temporal");
  op.threads = f.whole("threads");
  if (op.in_channels < 1 || op.out_channels < 1) f.fail("has no channels");
  if (op.threads < 1) f.fail("has no threads");
  return op;
}

}  // namespace

Step winograd(const Fields& f, const Kernels& k) {
  Winograd op = winograd_sizes<Winograd>(f);
  const long positions = op.extent.positions();
  op.x = f.value("x", positions * op.in_channels);
  op.y = f.value("y", positions * op.out_channels);
  op.packed = f.value("packed", k.winograd_packed_size(op.temporal, op.in_channels, op.out_channels));
  op.bias = f.optional("bias", op.out_channels);
  op.residual = f.optional("residual", positions * op.out_channels);
  op.scratch = f.value("scratch", k.winograd_scratch(op));
  op.activation = f.activation("activation");
  op.accumulate = f.flag("accumulate");
  return [op, run = k.winograd](const Memory& m) { run(op, m); };
}

Step pack_winograd(const Fields& f, const Kernels& k) {
  PackWinograd op{};
  op.in = f.whole("in");
  op.out = f.whole("out");
  op.temporal = f.flag("temporal");
  op.transposed = f.flag("transposed");
  op.weights = f.value("weights", (op.temporal ? 3 : 9) * op.in * op.out);
  op.packed = f.value("packed", op.transposed ? k.winograd_packed_size(op.temporal, op.out, op.in)
                                              : k.winograd_packed_size(op.temporal, op.in, op.out));
  return [op, run = k.pack_winograd](const Memory& m) { run(op, m); };
}

Step winograd_weight_gradient(const Fields& f, const Kernels& k) {
  WinogradWeightGradient op = winograd_sizes<WinogradWeightGradient>(f);
  const long positions = op.extent.positions();
  op.x = f.value("x", positions * op.in_channels);
  op.dy = f.value("dy", positions * op.out_channels);
  op.dw = f.value("dw", (op.temporal ? 3 : 9) * op.in_channels * op.out_channels);
  op.scratch = f.value("scratch", k.winograd_weight_scratch(op));
  op.accumulate = f.flag("accumulate");
  return [op, run = k.winograd_weight_gradient](const Memory& m) { run(op, m); };
}

long winograd_scratch(const Fields& f, const Kernels& k) {
  return f.text("op") == "winograd" ? k.winograd_scratch(winograd_sizes<Winograd>(f))
                                    : k.winograd_weight_scratch(winograd_sizes<WinogradWeightGradient>(f));
}

}  // namespace mn::steps
