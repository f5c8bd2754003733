// Reads the description of a step that the JS side wrote, and checks that every value it names lies inside its
// memory: kernels check nothing.
#pragma once
#include <napi.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace mn {

struct Sizes {
  std::int64_t arena, constants;
  std::vector<std::int64_t> externals;
};

class Fields {
 public:
  Fields(Napi::Object object, const Sizes& sizes) : object_(object), sizes_(sizes) {}

  std::string text(const char* key) const { return object_.Get(key).ToString(); }
  long whole(const char* key, long missing = -1) const {
    const Napi::Value value = object_.Get(key);
    if (value.IsBoolean()) return value.As<Napi::Boolean>() ? 1 : 0;
    if (!value.IsNumber()) return missing >= 0 ? missing : (fail(std::string("lacks ") + key), 0);
    return static_cast<long>(value.As<Napi::Number>().Int64Value());
  }
  bool flag(const char* key) const { return whole(key, 0) != 0; }
  // By its name; none where it is left out.
  Activation activation(const char* key) const {
    const Napi::Value value = object_.Get(key);
    if (value.IsUndefined()) return none;
    const std::string name = value.ToString();
    for (const auto& [known, function] : {std::pair{"relu", relu}, {"relu6", relu6}, {"swish", swish}, {"sigmoid", sigmoid_}})
      if (name == known) return function;
    fail(std::string(key) + " " + name + " is no activation of this add-on");
  }
  float number(const char* key) const { return object_.Get(key).ToNumber().FloatValue(); }

  // A value of `count` floats.
  Ref value(const char* key, long count) const {
    const Ref ref = optional(key, count);
    if (ref == nowhere) fail(std::string("lacks ") + key);
    return ref;
  }
  Ref optional(const char* key, long count) const {
    const Napi::Value value = object_.Get(key);
    if (!value.IsNumber()) return nowhere;
    const Ref ref = value.As<Napi::Number>().Int64Value();
    const std::int64_t index = first_external - ref;  // of an external, where it is one
    if (index >= static_cast<std::int64_t>(sizes_.externals.size())) fail(std::string(key) + " is no external value");
    const std::int64_t start = ref >= 0 ? ref : index >= 0 ? 0 : -1 - ref;
    const std::int64_t limit = ref >= 0 ? sizes_.arena : index >= 0 ? sizes_.externals[index] : sizes_.constants;
    if (count < 0 || start + count > limit)
      fail(std::string(key) + " reaches beyond its memory (" + std::to_string(start) + " + " + std::to_string(count) +
           " of " + std::to_string(limit) + " floats)");
    return ref;
  }
  int external(const char* key) const {
    const long index = whole(key);
    if (index < 0 || index >= static_cast<long>(sizes_.externals.size())) fail(std::string(key) + " is no external value");
    return static_cast<int>(index);
  }
  long list(const char* key, long* to, long limit) const {
    const Napi::Value value = object_.Get(key);
    if (!value.IsArray()) fail(std::string("lacks ") + key);
    const Napi::Array array = value.As<Napi::Array>();
    if (array.Length() > limit) fail(std::string(key) + " has too many entries");
    for (std::uint32_t i = 0; i < array.Length(); i++) to[i] = array.Get(i).ToNumber().Int64Value();
    return array.Length();
  }
  void numbers(const char* key, float* to, std::uint32_t count) const {
    const Napi::Array array = object_.Get(key).As<Napi::Array>();
    for (std::uint32_t i = 0; i < count; i++) to[i] = array.Get(i).ToNumber().FloatValue();
  }
  Extent extent(const char* key) const {
    long e[4] = {};
    if (list(key, e, 4) != 4 || e[0] < 1 || e[1] < 1 || e[2] < 1 || e[3] < 1) fail(std::string(key) + " is no extent");
    return {e[0], e[1], e[2], e[3]};
  }
  Window window() const {
    Window w{};
    if (list("kernel", w.kernel, 3) != 3 || list("stride", w.stride, 3) != 3 || list("padding", w.padding, 3) != 3)
      fail("has no window");
    for (int axis = 0; axis < 3; axis++)
      if (w.kernel[axis] < 1 || w.stride[axis] < 1 || w.padding[axis] < 0) fail("has a window that cannot be");
    return w;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw std::invalid_argument(text("op") + " " + text("name") + ": " + what);
  }

 private:
  Napi::Object object_;
  const Sizes& sizes_;
};

}  // namespace mn
