// Batch norm.
#include "makers.h"

namespace mn::steps {

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

}  // namespace mn::steps
