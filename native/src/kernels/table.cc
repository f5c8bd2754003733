// This instruction set's kernels as a table; compiled once per instruction set, like all kernel files.
#include "activation.h"

namespace mn::MN_ISA {

long packed_size(long, long, long);
void pack(const float*, float*, long, long, long, bool);
void pack_dense(const PackDense&, const Memory&);
void dense(const Dense&, const Memory&);
long packed_size_bf16(long, long, long);
void pack_bf16(const float*, float*, long, long, long);
void dense_bf16(const Dense&, const Memory&);
void dense_weight_gradient(const DenseWeightGradient&, const Memory&);
long winograd_packed_size(bool, long, long);
long winograd_scratch(const Winograd&);
void pack_points(const float*, float*, long, long, bool, bool);
void pack_winograd(const PackWinograd&, const Memory&);
void winograd(const Winograd&, const Memory&);
long winograd_weight_scratch(const WinogradWeightGradient&);
void winograd_weight_gradient(const WinogradWeightGradient&, const Memory&);
void channelwise(const Channelwise&, const Memory&);
void channelwise_weight_gradient(const ChannelwiseWeightGradient&, const Memory&);
void moments(const Moments&, const Memory&);
void normalise(const Normalise&, const Memory&);
void normalise_backward(const NormaliseBackward&, const Memory&);
void pointwise(const Pointwise&, const Memory&);
void pointwise_backward(const PointwiseBackward&, const Memory&);
void copy_channels(const CopyChannels&, const Memory&);
void max_pool(const MaxPool&, const Memory&);
void max_pool_backward(const MaxPool&, const Memory&);
void average_pool(const AveragePool&, const Memory&);
void reduce_parts(const ReduceParts&, const Memory&);
void resample(const Resample&, const Memory&);
void dropout(const Dropout&, const Memory&);
void input(const Input&, const Memory&);
void slice(const Slice&, const Memory&);
void loss(const Loss&, const Memory&);
void square_sum(const SquareSum&, const Memory&);
void descend(const Descend&, const Memory&);
void multiply_adds(const MultiplyAdds&, const Memory&);
void stream(const Stream&, const Memory&);

extern const Kernels kernels;
const Kernels kernels = {
    MN_ISA_NAME,
    false,
    packed_size,
    pack,
    pack_dense,
    dense,
    packed_size_bf16,
    pack_bf16,
    dense_bf16,
    dense_weight_gradient,
    winograd_packed_size,
    winograd_scratch,
    pack_points,
    pack_winograd,
    winograd,
    winograd_weight_scratch,
    winograd_weight_gradient,
    channelwise,
    channelwise_weight_gradient,
    moments,
    normalise,
    normalise_backward,
    pointwise,
    pointwise_backward,
    copy_channels,
    max_pool,
    max_pool_backward,
    average_pool,
    reduce_parts,
    resample,
    dropout,
    input,
    slice,
    loss,
    square_sum,
    descend,
    multiply_adds,
    stream,
};

}  // namespace mn::MN_ISA
