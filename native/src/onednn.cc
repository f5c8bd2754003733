#include "onednn.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <vector>

namespace mn::onednn {
namespace {

using dnnl::memory;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::convolution_forward::primitive_desc describe(const memory::desc& x, const memory::desc& weights,
                                                   const memory::desc* bias, const memory::desc& y,
                                                   const memory::dims& stride, const memory::dims& padding,
                                                   const dnnl::primitive_attr& attributes) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  if (bias) return {engine(), kind, algorithm, x, weights, *bias, y, stride, padding, padding, attributes};
  return {engine(), kind, algorithm, x, weights, y, stride, padding, padding, attributes};
#else
  using Description = dnnl::convolution_forward::desc;
  const Description description = bias ? Description(kind, algorithm, x, weights, *bias, y, stride, padding, padding)
                                       : Description(kind, algorithm, x, weights, y, stride, padding, padding);
  return {description, attributes, engine()};
#endif
}

void append_activation(dnnl::post_ops& operations, int activation) {
  const auto append = [&](dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
    operations.append_eltwise(algorithm, alpha, beta);
#else
    operations.append_eltwise(1.0f, algorithm, alpha, beta);
#endif
  };
  switch (activation) {
    case relu: return append(dnnl::algorithm::eltwise_relu, 0, 0);
    case relu6: return append(dnnl::algorithm::eltwise_clip, 0, 6);
    case swish: return append(dnnl::algorithm::eltwise_swish, 1, 0);
    case sigmoid_: return append(dnnl::algorithm::eltwise_logistic, 0, 0);
    default: return;
  }
}

struct Prepared {
  dnnl::convolution_forward convolution;
  memory x, weights, bias, y, residual;
  dnnl::stream stream;
};

}  // namespace

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

void use_threads(int threads) {
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
}

Convolution convolution(const Dense& op, const float* weights) try {
  const Window& w = op.window;
  const auto type = memory::data_type::f32;
  const auto plain = memory::format_tag::ndhwc;
  const memory::desc x({op.in.batch, op.in_channels, op.in.frames, op.in.height, op.in.width}, type, plain);
  const memory::desc y({op.out.batch, op.out_channels, op.out.frames, op.out.height, op.out.width}, type, plain);
  const memory::dims filter{op.out_channels, op.in_channels, w.kernel[0], w.kernel[1], w.kernel[2]};
  const memory::desc bias({op.out_channels}, type, memory::format_tag::a);
  dnnl::post_ops operations;
  if (op.residual != nowhere) operations.append_binary(dnnl::algorithm::binary_add, y);
  append_activation(operations, op.activation);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(operations);
  const auto description =
      describe(x, memory::desc(filter, type, memory::format_tag::any), op.bias != nowhere ? &bias : nullptr, y,
               {w.stride[0], w.stride[1], w.stride[2]}, {w.padding[0], w.padding[1], w.padding[2]}, attributes);

  const std::string kind = description.impl_info_str();
  if (kind.find("gemm") != std::string::npos || kind.find("ref") != std::string::npos) return nullptr;

  dnnl::stream stream(engine());
  // Ours are [kt, kh, kw, in, out]: oneDNN's dhwio.
  memory given(memory::desc(filter, type, memory::format_tag::dhwio), engine(), const_cast<float*>(weights));
  memory packed(description.weights_desc(), engine());
  dnnl::reorder(given, packed).execute(stream, given, packed);
  stream.wait();
  const auto prepared = std::make_shared<Prepared>(Prepared{
      dnnl::convolution_forward(description), memory(x, engine(), nullptr), packed, memory(bias, engine(), nullptr),
      memory(y, engine(), nullptr), memory(y, engine(), nullptr), stream});
  return [op, prepared](const Memory& values) {
    Prepared& p = *prepared;
    p.x.set_data_handle(values.at(op.x));
    p.y.set_data_handle(values.at(op.y));
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, p.x}, {DNNL_ARG_WEIGHTS, p.weights}, {DNNL_ARG_DST, p.y}};
    if (op.bias != nowhere) {
      p.bias.set_data_handle(values.at(op.bias));
      arguments.emplace(DNNL_ARG_BIAS, p.bias);
    }
    if (op.residual != nowhere) {
      p.residual.set_data_handle(values.at(op.residual));
      arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, p.residual);
    }
    p.convolution.execute(p.stream, arguments);
    p.stream.wait();
  };
} catch (const dnnl::error& error) {
  throw std::runtime_error(std::string("oneDNN: ") + error.what());
}

double measure_peak(int threads) {
  use_threads(threads);
  constexpr long n = 1024;
  std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f), c(n * n);
  double best = 0;
  for (int repeat = 0; repeat < 3; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    dnnl_sgemm('N', 'N', n, n, n, 1.0f, a.data(), n, b.data(), n, 0.0f, c.data(), n);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * n * n * n / seconds / 1e9);
  }
  return best;
}

}  // namespace mn::onednn
