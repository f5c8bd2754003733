// From the description of one step to a function that runs it.
#pragma once
#include <functional>

#include "fields.h"

namespace mn {

using Step = std::function<void(const Memory&)>;

// Throws std::exception naming the step and the reason.
Step make_step(const Napi::Object& description, const Sizes& sizes);

// Floats of scratch memory that a step `winograd` or `winogradWeightGradient` with these sizes needs.
long winograd_scratch(const Napi::Object& description);

}  // namespace mn
