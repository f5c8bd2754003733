// Products over all input channels: dense convolutions and linear layers.
#include "makers.h"

namespace mn::steps {
namespace {

Dense dense_of(const Fields& f) {
  Dense op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.in_channels = f.whole("inChannels");
  op.inner = f.whole("inner", op.in_channels);
  op.out_channels = f.whole("outChannels");
  op.x = f.value("x", op.in.positions() * op.in_channels);
  op.y = f.value("y", op.out.positions() * op.out_channels);
  op.bias = f.optional("bias", op.out_channels);
  op.residual = f.optional("residual", op.out.positions() * op.out_channels);
  op.gates = f.optional("gates", op.in.batch * op.in_channels);
  op.activation = f.activation("activation");
  op.prologue = f.activation("prologue");
  op.transposed = f.flag("transposed");
  op.accumulate = f.flag("accumulate");
  if (op.in_channels < 1 || op.out_channels < 1) f.fail("has no channels");
  // Merged taps read several columns from their first one on.
  if (op.inner != op.in_channels &&
      (op.window.padding[2] != 0 || op.window.kernel[2] != 1 ||
       (op.out.width - 1) * op.window.stride[2] * op.in_channels + op.inner > op.in.width * op.in_channels))
    f.fail("reads merged taps beyond its rows");
  const bool prologue = op.gates != nowhere || op.prologue != none;
  if (prologue && (op.window.taps() != 1 || op.in.positions() != op.out.positions() || op.transposed))
    f.fail("can have gates only as 1×1×1 at stride 1");
  return op;
}

}  // namespace

Step dense(const Fields& f, const Kernels& k) {
  Dense op = dense_of(f);
  const long taps = op.window.taps();
  op.packed = f.value("packed", k.packed_size(taps, op.inner, op.out_channels));
  return [op, run = k.dense](const Memory& m) { run(op, m); };
}

// The same over weights packed by `pack_bf16`.
Step dense_bf16(const Fields& f, const Kernels& k) {
  Dense op = dense_of(f);
  if (op.transposed) f.fail("has no gradient");
  op.packed = f.value("packed", k.packed_size_bf16(op.window.taps(), op.inner, op.out_channels));
  return [op, run = k.dense_bf16](const Memory& m) { run(op, m); };
}

Step pack_dense(const Fields& f, const Kernels& k) {
  PackDense op{};
  op.taps = f.whole("taps");
  op.in = f.whole("in");
  op.out = f.whole("out");
  op.transposed = f.flag("transposed");
  op.weights = f.value("weights", op.taps * op.in * op.out);
  op.packed = f.value("packed", op.transposed ? k.packed_size(op.taps, op.out, op.in) : k.packed_size(op.taps, op.in, op.out));
  return [op, run = k.pack_dense](const Memory& m) { run(op, m); };
}

Step dense_weight_gradient(const Fields& f, const Kernels& k) {
  DenseWeightGradient op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.in_channels = f.whole("inChannels");
  op.inner = f.whole("inner", op.in_channels);
  op.out_channels = f.whole("outChannels");
  op.x = f.value("x", op.in.positions() * op.in_channels);
  op.dy = f.value("dy", op.out.positions() * op.out_channels);
  op.dw = f.value("dw", op.window.taps() * op.inner * op.out_channels);
  op.accumulate = f.flag("accumulate");
  return [op, run = k.dense_weight_gradient](const Memory& m) { run(op, m); };
}

}  // namespace mn::steps
