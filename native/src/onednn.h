// The only file that knows oneDNN's API (2.6 and later 2.x; 3.x differs in how primitives are described).
#pragma once
#include <functional>
#include <string>

#include "kernels/kernels.h"

namespace mn::onednn {

// "2.6.3"
std::string version();

// Threads of the convolutions that the calling thread executes.
void use_threads(int threads);

// A prepared dense convolution on plain NDHWC values: y = activation(conv(x) + bias + residual).
using Convolution = std::function<void(const Memory&)>;

// `weights` are [taps, in, out]. Empty where oneDNN has only its matrix-product or reference fallbacks: they are
// slow, and 2.6's crashes for a single channel. Throws std::runtime_error with oneDNN's reason.
Convolution convolution(const Dense& op, const float* weights);

// GFLOP/s of a large float32 matrix product: the peak that benchmarks compare with.
double measure_peak(int threads);

}  // namespace mn::onednn
