#include "steps.h"

#include <map>
#include <string>

#include "instruction_set.h"
#include "steps/makers.h"

namespace mn {
namespace {

const std::map<std::string, steps::Maker*> makers = {
    {"dense", steps::dense},
    {"denseBf16", steps::dense_bf16},
    {"packDense", steps::pack_dense},
    {"denseWeightGradient", steps::dense_weight_gradient},
    {"winograd", steps::winograd},
    {"packWinograd", steps::pack_winograd},
    {"winogradWeightGradient", steps::winograd_weight_gradient},
    {"channelwise", steps::channelwise},
    {"channelwiseWeightGradient", steps::channelwise_weight_gradient},
    {"moments", steps::moments},
    {"normalise", steps::normalise},
    {"normaliseBackward", steps::normalise_backward},
    {"pointwise", steps::pointwise},
    {"pointwiseBackward", steps::pointwise_backward},
    {"copyChannels", steps::copy_channels},
    {"maxPool", steps::max_pool},
    {"averagePool", steps::average_pool},
    {"reduceParts", steps::reduce_parts},
    {"resample", steps::resample},
    {"dropout", steps::dropout},
    {"input", steps::input},
    {"slice", steps::slice},
    {"loss", steps::loss},
    {"squareSum", steps::square_sum},
    {"descend", steps::descend},
    {"multiplyAdds", steps::multiply_adds},
    {"stream", steps::stream},
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
  return steps::winograd_scratch(Fields(description, none), best_kernels());
}

}  // namespace mn
