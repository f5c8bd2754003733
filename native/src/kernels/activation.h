// Activations and their slopes on vectors, chosen once per kernel call so that inner loops have no switch.
#pragma once
#include "kernels.h"
#include "parallel.h"
#include "vector.h"

namespace mn::MN_ISA {

template <int A>
inline Vector activate(Vector x) {
  if constexpr (A == relu) return max(x, Vector{});
  if constexpr (A == relu6) return min(max(x, Vector{}), splat(6.0f));
  if constexpr (A == swish) return x * sigmoid(x);
  if constexpr (A == sigmoid_) return sigmoid(x);
  return x;
}

// The derivative at the activation's input.
template <int A>
inline Vector slope(Vector x) {
  const Vector one = splat(1.0f);
  if constexpr (A == relu) return x > Vector{} ? one : Vector{};
  if constexpr (A == relu6) return ((x > Vector{}) & (x < splat(6.0f))) ? one : Vector{};
  if constexpr (A == swish) {
    const Vector s = sigmoid(x);
    return s * (one + x * (one - s));
  }
  if constexpr (A == sigmoid_) {
    const Vector s = sigmoid(x);
    return s * (one - s);
  }
  return one;
}

template <int A>
struct Constant {
  static constexpr int value = A;
};

// Calls body with the activation as a compile-time constant.
template <class Body>
inline void with_activation(int activation, Body body) {
  switch (activation) {
    case relu: return body(Constant<relu>{});
    case relu6: return body(Constant<relu6>{});
    case swish: return body(Constant<swish>{});
    case sigmoid_: return body(Constant<sigmoid_>{});
    default: return body(Constant<none>{});
  }
}

}  // namespace mn::MN_ISA
