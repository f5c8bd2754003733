// What goes value by value: sums, gates, activations, copies of channels, dropout.
#include "makers.h"

namespace mn::steps {

Step pointwise(const Fields& f, const Kernels& k) {
  Pointwise op{};
  op.batch = f.whole("batch");
  op.positions = f.whole("positions");
  op.channels = f.whole("channels");
  const long count = op.batch * op.positions * op.channels;
  op.a = f.value("a", count);
  op.b = f.optional("b", count);
  op.gates = f.optional("gates", op.batch * op.channels);
  op.y = f.value("y", count);
  op.activation = f.activation("activation");
  if (op.b != nowhere && op.gates != nowhere) f.fail("cannot add and gate at once");
  return [op, run = k.pointwise](const Memory& m) { run(op, m); };
}

Step pointwise_backward(const Fields& f, const Kernels& k) {
  PointwiseBackward op{};
  op.batch = f.whole("batch");
  op.positions = f.whole("positions");
  op.channels = f.whole("channels");
  const long count = op.batch * op.positions * op.channels;
  op.activation = f.activation("activation");
  op.a = f.optional("a", count);
  op.b = f.optional("b", count);
  op.gates = f.optional("gates", op.batch * op.channels);
  op.dy = f.value("dy", count);
  op.da = f.optional("da", count);
  op.db = f.optional("db", count);
  op.dgates = f.optional("dgates", op.batch * op.channels);
  op.accumulate_a = f.flag("accumulateA");
  op.accumulate_b = f.flag("accumulateB");
  if (op.gates != nowhere && (op.a == nowhere || op.dgates == nowhere || op.da == nowhere)) f.fail("lacks a gate's value");
  if (op.activation != none && op.a == nowhere) f.fail("lacks a");
  return [op, run = k.pointwise_backward](const Memory& m) { run(op, m); };
}

Step copy_channels(const Fields& f, const Kernels& k) {
  CopyChannels op{};
  op.rows = f.whole("rows");
  op.x_channels = f.whole("xChannels");
  op.y_channels = f.whole("yChannels");
  op.x_start = f.whole("xStart", 0);
  op.y_start = f.whole("yStart", 0);
  op.count = f.whole("count");
  op.x = f.value("x", op.rows * op.x_channels);
  op.y = f.value("y", op.rows * op.y_channels);
  op.accumulate = f.flag("accumulate");
  if (op.x_start + op.count > op.x_channels || op.y_start + op.count > op.y_channels) f.fail("copies beyond its channels");
  return [op, run = k.copy_channels](const Memory& m) { run(op, m); };
}

Step dropout(const Fields& f, const Kernels& k) {
  Dropout op{};
  op.count = f.whole("count");
  op.x = f.value("x", op.count);
  op.y = f.value("y", op.count);
  op.seed = f.external("seed");
  op.rate = f.number("rate");
  op.stream = static_cast<std::uint32_t>(f.whole("stream"));
  op.accumulate = f.flag("accumulate");
  return [op, run = k.dropout](const Memory& m) { run(op, m); };
}

}  // namespace mn::steps
