// What measures the machine.
#include "makers.h"

namespace mn::steps {

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

}  // namespace mn::steps
