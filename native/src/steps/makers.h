// One maker per kind of step, in files as the kernels are: each reads a step's fields and checks what its kernel does not.
#pragma once
#include "../fields.h"
#include "../steps.h"

namespace mn::steps {

using Maker = Step(const Fields&, const Kernels&);

Maker dense, dense_bf16, pack_dense, dense_weight_gradient, winograd, pack_winograd, winograd_weight_gradient, channelwise, channelwise_weight_gradient, moments, normalise, normalise_backward, pointwise, pointwise_backward, copy_channels, dropout, max_pool, average_pool, reduce_parts, resample, input, slice, loss, square_sum, descend, multiply_adds, stream;

// Floats of scratch memory.
long winograd_scratch(const Fields&, const Kernels&);

}  // namespace mn::steps
