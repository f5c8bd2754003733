// What the kernels compute, as plain structures that every instruction set's copy of them shares. Layout is
// NDHWC everywhere; counts are in floats; `Ref`s are resolved against the memory of a run.
#pragma once
#include <cstdint>

namespace mn {

// Where a value lies: at a float offset of the arena (>= 0), of the plan's constants (< 0, as -1 - offset), in an
// external (as first_external - index), or nowhere.
using Ref = std::int64_t;
constexpr Ref nowhere = INT64_MIN;
constexpr Ref first_external = -(Ref{1} << 50);

struct External {
  void* data;
  bool bytes;  // uint8 frames instead of floats
};

struct Memory {
  float* arena;
  float* constants;
  const External* externals;
  float* at(Ref ref) const {
    if (ref >= 0) return arena + ref;
    if (ref == nowhere) return nullptr;
    return ref > first_external ? constants + (-1 - ref) : static_cast<float*>(externals[first_external - ref].data);
  }
  float* floats(int external) const { return static_cast<float*>(externals[external].data); }
};

enum Activation : int { none = 0, relu = 1, relu6 = 2, swish = 3, sigmoid_ = 4 };

struct Extent {
  long batch, frames, height, width;
  long frame() const { return height * width; }
  long sample() const { return frames * height * width; }
  long positions() const { return batch * sample(); }
};

struct Window {
  long kernel[3], stride[3], padding[3];
  long taps() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// y = activation(conv(prologue(x)) + bias + residual), or its gradient with respect to x (`transposed`: x is
// the gradient of the output, `in` its extent; y that of the input).
struct Dense {
  Ref x, y, packed, bias, residual, gates;
  Extent in, out;
  long in_channels;   // of x: the distance of two positions
  long inner;         // values that one tap reads: in_channels, or several columns' where taps are merged
  long out_channels;  // of y
  Window window;
  int activation;
  int prologue;     // activation after the gates [batch, in_channels]; only for 1×1×1 at stride 1
  bool transposed;  // gradient with respect to the input
  bool accumulate;  // adds to y
};

struct PackDense {
  Ref weights, packed;
  long taps, in, out;
  bool transposed;  // panels over `in` instead of `out`
};

// y = activation(conv(x) + bias + residual) for a window of 1×3×3, or 3×1×1 (`temporal`), at stride 1 with zeros
// around x, by Winograd's minimal filtering. The gradient with respect to the input is the same over filters that
// were packed `transposed`.
struct Winograd {
  Ref x, y, packed, bias, residual, scratch;
  Extent extent;  // of x and y
  long in_channels, out_channels;
  int activation;
  bool temporal;
  bool accumulate;  // adds to y
  long threads;     // that `scratch` has room for
};

struct PackWinograd {
  Ref weights, packed;
  long in, out;
  bool temporal, transposed;  // as PackDense
};

// dw[taps, in_channels, out_channels] of the same convolutions.
struct WinogradWeightGradient {
  Ref x, dy, dw, scratch;
  Extent extent;
  long in_channels, out_channels;
  bool temporal;
  bool accumulate;  // adds to dw
  long threads;
};

// dw[taps, inner, out_channels] = sum over positions of x ⊗ dy.
struct DenseWeightGradient {
  Ref x, dy, dw;
  Extent in, out;
  long in_channels, inner, out_channels;
  Window window;
  bool accumulate;  // adds to dw
};

struct Channelwise {
  Ref x, y, weights, bias, sums;  // sums: [batch · frames · height, channels], each row's sum of y
  Extent in, out;
  long channels;
  Window window;
  int activation;
  bool transposed, accumulate;
};

struct ChannelwiseWeightGradient {
  Ref x, dy, dw;
  Extent in, out;
  long channels;
  Window window;
};

// [rows, channels] of `groups` equal groups: mean and biased variance of each channel over all rows.
struct Moments {
  Ref x, mean, variance;
  long rows, channels;
};

// y = activation((x − mean) / √(variance + ε) · scale + shift + residual)
struct Normalise {
  Ref x, y, mean, variance, scale, shift, residual;
  long rows, channels;
  float epsilon;
  int activation;
};

// From dy, the gradient after the activation, to dx, dscale and dshift. dresidual (may be nowhere) gets the
// gradient before the activation. gates/dgates: the activation follows a gate per sample and channel.
struct NormaliseBackward {
  Ref x, mean, variance, scale, shift, residual, dy, dx, dscale, dshift, dresidual;
  long rows, channels;
  float epsilon;
  int activation;
  bool accumulate_residual;
};

// y = activation(a [+ b] [· gates per sample and channel])
struct Pointwise {
  Ref a, b, gates, y;
  long batch, positions, channels;  // positions per sample
  int activation;
};

// From dy (after the activation): da [+= or =], db, and dgates = sum over positions of dz · a.
struct PointwiseBackward {
  Ref a, b, gates, dy, da, db, dgates;
  long batch, positions, channels;
  int activation;
  bool accumulate_a, accumulate_b;
};

// Copies channels [0, count) of rows between values of different widths: concatenation and its gradient.
struct CopyChannels {
  Ref x, y;
  long rows, x_channels, y_channels, x_start, y_start, count;
  bool accumulate;
};

struct MaxPool {
  Ref x, y, dx, dy;  // backward: dx and dy given
  Extent in, out;
  long channels;
  Window window;
  bool accumulate;
};

// Means over `window` at stride 1 (mostly: everything); backward spreads dy over dx.
struct AveragePool {
  Ref x, y;
  Extent in, out;
  long channels;
  Window window;
  bool backward, accumulate;  // backward: x is dx, y is dy
};

// Sums of `parts` rows of [batch, parts, channels], times `factor`.
struct ReduceParts {
  Ref x, y;
  long batch, parts, channels;
  float factor;
};

// Adaptive average pooling; backward: x is dx, y is dy.
struct Resample {
  Ref x, y;
  Extent in, out;
  long channels;
  bool backward, accumulate;
};

struct Dropout {
  Ref x, y;
  long count;
  int seed;  // index of an external [seed]
  float rate;
  std::uint32_t stream;
  bool accumulate;
};

// Frames from outside: bytes normalised (byte · factor + offset), or floats as they are; with zero borders.
struct Input {
  Ref y;
  int external;
  Extent in;
  long border_height, border_width;
  float factor[3], offset[3];
};

// Copies a slice of a full-size parameter (external) to the arena, or adds from the arena to the external.
struct Slice {
  int external;
  Ref value;
  long taps, full_in, full_out;
  long in_runs, out_runs;
  long in_start[8], in_count[8], out_start[8], out_count[8];
  bool scatter;
};

// loss[0] = mean over the batch; dlogits = scale · gradient. target: an external of floats [batch, classes]
// (probabilities; `kl` subtracts their entropy).
struct Loss {
  Ref logits, loss, dlogits;
  int target, scale;
  long batch, positions, classes;
  bool kl;
};

// Parameter, gradient and momentum are externals. Scalars (external): [learning rate, momentum, clip norm,
// weight decay]. With `decay` weight decay is added; the gradient is zeroed.
struct Descend {
  int parameter, gradient, velocity, scalars;
  Ref norm;
  long count;
  bool decay, nesterov;
};

// norm[0] += sum of squares (in double) of the external; `finish` takes the root.
struct SquareSum {
  int external;
  Ref norm;
  long count;
  bool first, finish;
};

// Multiply-adds in registers; y gets one sum per item.
struct MultiplyAdds {
  Ref y;
  long items;
  float factor;
};
constexpr long multiply_adds_per_item = 1L << 20;

// y = a + factor · b
struct Stream {
  Ref a, b, y;
  long count;
  float factor;
};

struct Kernels {
  const char* name;
  bool has_bf16;  // an instruction for products of bfloat16; else they are computed in float32
  long (*packed_size)(long taps, long in, long out);  // not transposed
  void (*pack)(const float* weights, float* packed, long taps, long in, long out, bool transposed);
  void (*pack_dense)(const PackDense&, const Memory&);
  void (*dense)(const Dense&, const Memory&);
  long (*packed_size_bf16)(long taps, long in, long out);
  void (*pack_bf16)(const float* weights, float* packed, long taps, long in, long out);
  void (*dense_bf16)(const Dense&, const Memory&);  // inputs and weights rounded to bfloat16, sums in float32
  void (*dense_weight_gradient)(const DenseWeightGradient&, const Memory&);
  long (*winograd_packed_size)(bool temporal, long in, long out);
  long (*winograd_scratch)(const Winograd&);
  void (*pack_points)(const float* weights, float* packed, long in, long out, bool temporal, bool transposed);
  void (*pack_winograd)(const PackWinograd&, const Memory&);
  void (*winograd)(const Winograd&, const Memory&);
  long (*winograd_weight_scratch)(const WinogradWeightGradient&);
  void (*winograd_weight_gradient)(const WinogradWeightGradient&, const Memory&);
  void (*channelwise)(const Channelwise&, const Memory&);
  void (*channelwise_weight_gradient)(const ChannelwiseWeightGradient&, const Memory&);
  void (*moments)(const Moments&, const Memory&);
  void (*normalise)(const Normalise&, const Memory&);
  void (*normalise_backward)(const NormaliseBackward&, const Memory&);
  void (*pointwise)(const Pointwise&, const Memory&);
  void (*pointwise_backward)(const PointwiseBackward&, const Memory&);
  void (*copy_channels)(const CopyChannels&, const Memory&);
  void (*max_pool)(const MaxPool&, const Memory&);
  void (*max_pool_backward)(const MaxPool&, const Memory&);
  void (*average_pool)(const AveragePool&, const Memory&);
  void (*reduce_parts)(const ReduceParts&, const Memory&);
  void (*resample)(const Resample&, const Memory&);
  void (*dropout)(const Dropout&, const Memory&);
  void (*input)(const Input&, const Memory&);
  void (*slice)(const Slice&, const Memory&);
  void (*loss)(const Loss&, const Memory&);
  void (*square_sum)(const SquareSum&, const Memory&);
  void (*descend)(const Descend&, const Memory&);
  void (*multiply_adds)(const MultiplyAdds&, const Memory&);
  void (*stream)(const Stream&, const Memory&);
};

}  // namespace mn
