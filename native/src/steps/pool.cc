// Pooling and resampling.
#include "makers.h"

namespace mn::steps {

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

}  // namespace mn::steps
