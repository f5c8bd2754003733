#include "steps.h"

#include <map>
#include <string>

#include "instruction_set.h"

namespace mn {
namespace {

Dense dense_of(const Fields& f) {
  Dense op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.in_channels = f.whole("inChannels");
  op.depth = f.whole("depth", op.in_channels);
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
  if (op.depth != op.in_channels &&
      (op.window.padding[2] != 0 || op.window.kernel[2] != 1 ||
       (op.out.width - 1) * op.window.stride[2] * op.in_channels + op.depth > op.in.width * op.in_channels))
    f.fail("reads merged taps beyond its rows");
  const bool prologue = op.gates != nowhere || op.prologue != none;
  if (prologue && (op.window.taps() != 1 || op.in.positions() != op.out.positions() || op.transposed))
    f.fail("can have gates only as 1×1×1 at stride 1");
  return op;
}

Step dense_step(const Fields& f, const Kernels& k) {
  Dense op = dense_of(f);
  const long taps = op.window.taps();
  op.packed = f.value("packed", k.packed_size(taps, op.depth, op.out_channels));
  return [op, run = k.dense](const Memory& m) { run(op, m); };
}

// The same over weights packed by `pack_bf16`.
Step dense_bf16(const Fields& f, const Kernels& k) {
  Dense op = dense_of(f);
  if (op.transposed) f.fail("has no gradient");
  op.packed = f.value("packed", k.packed_size_bf16(op.window.taps(), op.depth, op.out_channels));
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
  op.depth = f.whole("depth", op.in_channels);
  op.out_channels = f.whole("outChannels");
  op.x = f.value("x", op.in.positions() * op.in_channels);
  op.dy = f.value("dy", op.out.positions() * op.out_channels);
  op.dw = f.value("dw", op.window.taps() * op.depth * op.out_channels);
  op.accumulate = f.flag("accumulate");
  return [op, run = k.dense_weight_gradient](const Memory& m) { run(op, m); };
}

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

Step moments(const Fields& f, const Kernels& k) {
  Moments op{};
  op.rows = f.whole("rows");
  op.channels = f.whole("channels");
  op.x = f.value("x", op.rows * op.channels);
  op.mean = f.value("mean", op.channels);
  op.variance = f.value("variance", op.channels);
  return [op, run = k.moments](const Memory& m) { run(op, m); };
}

Step normalise(const Fields& f, const Kernels& k) {
  Normalise op{};
  op.rows = f.whole("rows");
  op.channels = f.whole("channels");
  const long count = op.rows * op.channels;
  op.x = f.value("x", count);
  op.y = f.value("y", count);
  op.residual = f.optional("residual", count);
  op.mean = f.value("mean", op.channels);
  op.variance = f.value("variance", op.channels);
  op.scale = f.value("scale", op.channels);
  op.shift = f.value("shift", op.channels);
  op.epsilon = f.number("epsilon");
  op.activation = f.activation("activation");
  return [op, run = k.normalise](const Memory& m) { run(op, m); };
}

Step normalise_backward(const Fields& f, const Kernels& k) {
  NormaliseBackward op{};
  op.rows = f.whole("rows");
  op.channels = f.whole("channels");
  const long count = op.rows * op.channels;
  op.x = f.value("x", count);
  op.dy = f.value("dy", count);
  op.dx = f.value("dx", count);
  op.residual = f.optional("residual", count);
  op.dresidual = f.optional("dresidual", count);
  op.mean = f.value("mean", op.channels);
  op.variance = f.value("variance", op.channels);
  op.scale = f.value("scale", op.channels);
  op.shift = f.value("shift", op.channels);
  op.dscale = f.value("dscale", op.channels);
  op.dshift = f.value("dshift", op.channels);
  op.epsilon = f.number("epsilon");
  op.activation = f.activation("activation");
  op.accumulate_residual = f.flag("accumulateResidual");
  return [op, run = k.normalise_backward](const Memory& m) { run(op, m); };
}

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

Step max_pool(const Fields& f, const Kernels& k) {
  MaxPool op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.channels = f.whole("channels");
  op.x = f.value("x", op.in.positions() * op.channels);
  op.y = f.optional("y", op.out.positions() * op.channels);
  op.dx = f.optional("dx", op.in.positions() * op.channels);
  op.dy = f.optional("dy", op.out.positions() * op.channels);
  op.accumulate = f.flag("accumulate");
  for (int axis = 0; axis < 3; axis++)
    if (op.window.padding[axis] >= op.window.kernel[axis]) f.fail("has windows that see nothing");
  if (op.y != nowhere) return [op, run = k.max_pool](const Memory& m) { run(op, m); };
  if (op.dx == nowhere || op.dy == nowhere) f.fail("lacks y, or dx and dy");
  return [op, run = k.max_pool_backward](const Memory& m) { run(op, m); };
}

Step average_pool(const Fields& f, const Kernels& k) {
  AveragePool op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.window = f.window();
  op.channels = f.whole("channels");
  op.x = f.value("x", op.in.positions() * op.channels);
  op.y = f.value("y", op.out.positions() * op.channels);
  op.backward = f.flag("backward");
  op.accumulate = f.flag("accumulate");
  return [op, run = k.average_pool](const Memory& m) { run(op, m); };
}

Step reduce_parts(const Fields& f, const Kernels& k) {
  ReduceParts op{};
  op.batch = f.whole("batch");
  op.parts = f.whole("parts");
  op.channels = f.whole("channels");
  op.x = f.value("x", op.batch * op.parts * op.channels);
  op.y = f.value("y", op.batch * op.channels);
  op.factor = f.number("factor");
  return [op, run = k.reduce_parts](const Memory& m) { run(op, m); };
}

Step resample(const Fields& f, const Kernels& k) {
  Resample op{};
  op.in = f.extent("in");
  op.out = f.extent("out");
  op.channels = f.whole("channels");
  op.x = f.value("x", op.in.positions() * op.channels);
  op.y = f.value("y", op.out.positions() * op.channels);
  op.backward = f.flag("backward");
  op.accumulate = f.flag("accumulate");
  return [op, run = k.resample](const Memory& m) { run(op, m); };
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

Step input(const Fields& f, const Kernels& k) {
  Input op{};
  op.in = f.extent("in");
  op.border_height = f.whole("borderHeight", 0);
  op.border_width = f.whole("borderWidth", 0);
  const long positions =
      op.in.batch * op.in.frames * (op.in.height + 2 * op.border_height) * (op.in.width + 2 * op.border_width);
  op.y = f.value("y", 3 * positions);
  op.external = f.external("external");
  f.numbers("factor", op.factor, 3);
  f.numbers("offset", op.offset, 3);
  return [op, run = k.input](const Memory& m) { run(op, m); };
}

Step slice(const Fields& f, const Kernels& k) {
  Slice op{};
  op.external = f.external("external");
  op.taps = f.whole("taps");
  op.full_in = f.whole("fullIn");
  op.full_out = f.whole("fullOut");
  op.in_runs = f.list("inStart", op.in_start, 8);
  op.out_runs = f.list("outStart", op.out_start, 8);
  long in = 0, out = 0;
  if (f.list("inCount", op.in_count, 8) != op.in_runs || f.list("outCount", op.out_count, 8) != op.out_runs)
    f.fail("has runs without counts");
  for (long r = 0; r < op.in_runs; r++) in += op.in_count[r];
  for (long r = 0; r < op.out_runs; r++) out += op.out_count[r];
  op.value = f.value("value", op.taps * in * out);
  op.scatter = f.flag("scatter");
  for (long r = 0; r < op.in_runs; r++)
    if (op.in_start[r] < 0 || op.in_start[r] + op.in_count[r] > op.full_in) f.fail("slices beyond its parameter");
  for (long r = 0; r < op.out_runs; r++)
    if (op.out_start[r] < 0 || op.out_start[r] + op.out_count[r] > op.full_out) f.fail("slices beyond its parameter");
  return [op, run = k.slice](const Memory& m) { run(op, m); };
}

Step loss(const Fields& f, const Kernels& k) {
  Loss op{};
  op.batch = f.whole("batch");
  op.positions = f.whole("positions");
  op.classes = f.whole("classes");
  const long count = op.batch * op.positions * op.classes;
  op.logits = f.value("logits", count);
  op.dlogits = f.value("dlogits", count);
  op.loss = f.value("loss", 1);
  op.target = f.external("target");
  op.scale = f.external("scale");
  op.kl = f.flag("kl");
  return [op, run = k.loss](const Memory& m) { run(op, m); };
}

Step square_sum(const Fields& f, const Kernels& k) {
  SquareSum op{};
  op.external = f.external("external");
  op.count = f.whole("count");
  op.norm = f.value("norm", 2);
  op.first = f.flag("first");
  op.finish = f.flag("finish");
  return [op, run = k.square_sum](const Memory& m) { run(op, m); };
}

Step descend(const Fields& f, const Kernels& k) {
  Descend op{};
  op.parameter = f.external("parameter");
  op.gradient = f.external("gradient");
  op.velocity = f.external("velocity");
  op.scalars = f.external("scalars");
  op.norm = f.value("norm", 1);
  op.count = f.whole("count");
  op.decay = f.flag("decay");
  op.nesterov = f.flag("nesterov");
  return [op, run = k.descend](const Memory& m) { run(op, m); };
}

Step multiply_adds(const Fields& f, const Kernels& k) {
  MultiplyAdds op{};
  op.items = f.whole("items");
  op.y = f.value("y", op.items);
  op.factor = f.number("factor");
  return [op, run = k.multiply_adds](const Memory& m) { run(op, m); };
}

Step stream(const Fields& f, const Kernels& k) {
  Stream op{};
  op.count = f.whole("count");
  op.a = f.value("a", op.count);
  op.b = f.value("b", op.count);
  op.y = f.value("y", op.count);
  op.factor = f.number("factor");
  return [op, run = k.stream](const Memory& m) { run(op, m); };
}

using Maker = Step (*)(const Fields&, const Kernels&);

const std::map<std::string, Maker> makers = {
    {"dense", dense_step},
    {"denseBf16", dense_bf16},
    {"packDense", pack_dense},
    {"denseWeightGradient", dense_weight_gradient},
    {"winograd", winograd},
    {"packWinograd", pack_winograd},
    {"winogradWeightGradient", winograd_weight_gradient},
    {"channelwise", channelwise},
    {"channelwiseWeightGradient", channelwise_weight_gradient},
    {"moments", moments},
    {"normalise", normalise},
    {"normaliseBackward", normalise_backward},
    {"pointwise", pointwise},
    {"pointwiseBackward", pointwise_backward},
    {"copyChannels", copy_channels},
    {"maxPool", max_pool},
    {"averagePool", average_pool},
    {"reduceParts", reduce_parts},
    {"resample", resample},
    {"dropout", dropout},
    {"input", input},
    {"slice", slice},
    {"loss", loss},
    {"squareSum", square_sum},
    {"descend", descend},
    {"multiplyAdds", multiply_adds},
    {"stream", stream},
};

}  // namespace

Step make_step(const Napi::Object& description, const Sizes& sizes) {
  const Fields fields(description, sizes);
  const auto maker = makers.find(fields.text("op"));
  if (maker == makers.end()) fields.fail("is not an operation of this add-on");
  return maker->second(fields, best_kernels());
}

long winograd_scratch(const Napi::Object& description) {
  const Sizes none{};
  const Fields fields(description, none);
  if (fields.text("op") == "winograd") return best_kernels().winograd_scratch(winograd_sizes<Winograd>(fields));
  return best_kernels().winograd_weight_scratch(winograd_sizes<WinogradWeightGradient>(fields));
}

}  // namespace mn
