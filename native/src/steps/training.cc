// What surrounds the network: frames coming in, parameters, the loss, the optimiser.
#include "makers.h"

namespace mn::steps {

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

}  // namespace mn::steps
