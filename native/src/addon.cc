// The Node-API edge: memory that plans run in, programs (lists of steps), and their asynchronous runs.
#include <napi.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "instruction_set.h"
#include "kernels/parallel.h"
#include "runner.h"
#include "steps.h"

namespace mn {
namespace {

// Aligned floats that are huge pages where the system gives them, with room for vectors that read past the end.
class Buffer {
 public:
  explicit Buffer(std::size_t floats) : floats_(floats) {
    constexpr std::size_t page = 2u << 20;
    const std::size_t bytes = floats * sizeof(float) + 256;
    const std::size_t alignment = bytes >= page ? page : 64;
    data_ = static_cast<float*>(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment));
    if (!data_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (bytes >= page) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* data() const { return data_; }
  std::size_t floats() const { return floats_; }

 private:
  std::size_t floats_;
  float* data_;
};

// Memory that several programs share: the arena of an engine, or the constants of a plan. Runs keep what they
// use alive, so that replacing or disposing of it never pulls it from under them.
class MemoryObject : public Napi::ObjectWrap<MemoryObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Memory",
                       {InstanceMethod<&MemoryObject::Reserve>("reserve"), InstanceMethod<&MemoryObject::Write>("write"),
                        InstanceMethod<&MemoryObject::Pack>("pack"),
                        InstanceMethod<&MemoryObject::PackWinograd>("packWinograd"),
                        InstanceMethod<&MemoryObject::Read>("read"),
                        InstanceMethod<&MemoryObject::Dispose>("dispose"),
                        InstanceAccessor<&MemoryObject::Bytes>("bytes")});
  }
  explicit MemoryObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MemoryObject>(info) {
    grow(info.Env(), info.Length() > 0 ? info[0].ToNumber().Int64Value() : 0);
  }
  std::shared_ptr<Buffer> buffer() const { return buffer_; }
  std::size_t floats() const { return buffer_ ? buffer_->floats() : 0; }

 private:
  void grow(Napi::Env env, std::int64_t floats) {
    if (floats < 0) throw Napi::RangeError::New(env, "memory: a negative size");
    if (static_cast<std::size_t>(floats) <= this->floats()) return;
    buffer_.reset();
    try {
      buffer_ = std::make_shared<Buffer>(static_cast<std::size_t>(floats));
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(env, "memory: " + std::to_string(floats * 4 >> 20) + " MiB cannot be had");
    }
  }
  // Grows to at least so many floats; the content is lost.
  void Reserve(const Napi::CallbackInfo& info) { grow(info.Env(), info[0].ToNumber().Int64Value()); }
  float* range(const Napi::CallbackInfo& info, std::int64_t start, std::int64_t count) const {
    if (start < 0 || count < 0 || start + count > static_cast<std::int64_t>(floats()))
      throw Napi::RangeError::New(info.Env(), "memory: a range beyond its end");
    return buffer_->data() + start;
  }
  // write(start, values)
  void Write(const Napi::CallbackInfo& info) {
    const auto values = info[1].As<Napi::Float32Array>();
    float* to = range(info, info[0].ToNumber().Int64Value(), static_cast<std::int64_t>(values.ElementLength()));
    std::memcpy(to, values.Data(), values.ElementLength() * sizeof(float));
  }
  // read(start, values): copies into values
  void Read(const Napi::CallbackInfo& info) {
    auto values = info[1].As<Napi::Float32Array>();
    const float* from = range(info, info[0].ToNumber().Int64Value(), static_cast<std::int64_t>(values.ElementLength()));
    std::memcpy(values.Data(), from, values.ElementLength() * sizeof(float));
  }
  // pack(start, weights [taps, in, out], taps, in, out, bf16)
  void Pack(const Napi::CallbackInfo& info) {
    const auto values = info[1].As<Napi::Float32Array>();
    const long taps = info[2].ToNumber().Int64Value(), in = info[3].ToNumber().Int64Value(),
               out = info[4].ToNumber().Int64Value();
    if (taps < 1 || in < 1 || out < 1 || taps * in * out != static_cast<long>(values.ElementLength()))
      throw Napi::RangeError::New(info.Env(), "memory: weights of another shape");
    const Kernels& kernels = best_kernels();
    const std::int64_t start = info[0].ToNumber().Int64Value();
    if (info[5].ToBoolean())
      kernels.pack_bf16(values.Data(), range(info, start, kernels.packed_size_bf16(taps, in, out)), taps, in, out);
    else
      kernels.pack(values.Data(), range(info, start, kernels.packed_size(taps, in, out)), taps, in, out, false);
  }
  // packWinograd(start, weights [taps, in, out], temporal, in, out)
  void PackWinograd(const Napi::CallbackInfo& info) {
    const auto values = info[1].As<Napi::Float32Array>();
    const bool temporal = info[2].ToBoolean();
    const long in = info[3].ToNumber().Int64Value(), out = info[4].ToNumber().Int64Value();
    if (in < 1 || out < 1 || (temporal ? 3 : 9) * in * out != static_cast<long>(values.ElementLength()))
      throw Napi::RangeError::New(info.Env(), "memory: weights of another shape");
    const Kernels& kernels = best_kernels();
    float* packed = range(info, info[0].ToNumber().Int64Value(), kernels.winograd_packed_size(temporal, in, out));
    kernels.pack_points(values.Data(), packed, in, out, temporal, false);
  }
  void Dispose(const Napi::CallbackInfo&) { buffer_.reset(); }
  Napi::Value Bytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(floats() * sizeof(float)));
  }

  std::shared_ptr<Buffer> buffer_;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<std::string> names;
  std::vector<std::int64_t> externals;  // counts of values
  std::shared_ptr<Buffer> constants;
  std::size_t arena;
  std::vector<double> nanoseconds;  // per step, summed over runs
  bool timed = false;
};

// Goes through a plan's steps; gives what went wrong, or nothing.
std::string run_steps(Plan& plan, const Memory& memory, const unsigned char* cancelled, const std::atomic<bool>& stopping) {
  for (std::size_t i = 0; i < plan.steps.size(); i++) {
    if (stopping.load(std::memory_order_relaxed) || __atomic_load_n(cancelled, __ATOMIC_RELAXED)) return "cancelled";
    try {
      const auto start = std::chrono::steady_clock::now();
      plan.steps[i](memory);
      if (plan.timed)
        plan.nanoseconds[i] += std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    } catch (const std::exception& error) {
      return plan.names[i] + ": " + error.what();
    }
  }
  return "";
}

// What each environment (the main thread, a worker) has of its own.
struct Instance {
  std::unique_ptr<Runner> runner;
};

Runner& runner_of(Napi::Env env) {
  Instance* instance = env.GetInstanceData<Instance>();
  if (!instance->runner) {
    instance->runner = std::make_unique<Runner>(env);
    // After the runner, so that it ends before what it delivers through and long before the values that it reads.
    env.AddCleanupHook([](Instance* ending) { ending->runner.reset(); }, instance);
  }
  return *instance->runner;
}

// A typed array's memory, whether it is shared or not: Napi::TypedArray's own way fails where it is.
struct View {
  napi_typedarray_type type;
  std::size_t length;
  void* data;
};

View view_of(Napi::Env env, Napi::Value value) {
  View view{};
  const napi_status status =
      napi_get_typedarray_info(env, value, &view.type, &view.length, &view.data, nullptr, nullptr);
  if (status != napi_ok) throw Napi::Error::New(env);
  return view;
}

// new Program({steps, externals: [count], arena: floats}, constants?)
class Program : public Napi::ObjectWrap<Program> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Program",
                       {InstanceMethod<&Program::Start>("run"), InstanceMethod<&Program::Timings>("timings"),
                        InstanceMethod<&Program::Dispose>("dispose")});
  }
  explicit Program(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Program>(info), plan_(std::make_shared<Plan>()) {
    const Napi::Object description = info[0].As<Napi::Object>();
    const Napi::Array externals = description.Get("externals").As<Napi::Array>();
    for (std::uint32_t i = 0; i < externals.Length(); i++)
      plan_->externals.push_back(externals.Get(i).ToNumber().Int64Value());
    plan_->arena = static_cast<std::size_t>(description.Get("arena").ToNumber().Int64Value());
    plan_->timed = description.Get("timed").ToBoolean();
    if (info.Length() > 1 && info[1].IsObject()) plan_->constants = MemoryObject::Unwrap(info[1].As<Napi::Object>())->buffer();
    const Sizes sizes{static_cast<std::int64_t>(plan_->arena),
                      plan_->constants ? static_cast<std::int64_t>(plan_->constants->floats()) : 0,
                      plan_->externals};
    const Napi::Array steps = description.Get("steps").As<Napi::Array>();
    for (std::uint32_t i = 0; i < steps.Length(); i++) {
      const Napi::HandleScope scope(info.Env());
      const Napi::Object step = steps.Get(i).As<Napi::Object>();
      const std::string name = step.Get("op").ToString().Utf8Value() + " " + step.Get("name").ToString().Utf8Value();
      try {
        plan_->steps.push_back(make_step(step, sizes));
      } catch (const Napi::Error&) {
        throw;
      } catch (const std::exception& error) {
        throw Napi::Error::New(info.Env(), error.what());
      }
      plan_->names.push_back(name);
    }
    plan_->nanoseconds.resize(plan_->steps.size());
  }

 private:
  // run(arena, threads, externals, cancel): Promise<void>; setting cancel[0] ends the run at its next step. The arrays
  // are read and written where they lie: nobody may be able to transfer or shrink them, which the caller sees to.
  Napi::Value Start(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!plan_) throw Napi::Error::New(env, "program: already disposed of");
    const auto arena = MemoryObject::Unwrap(info[0].As<Napi::Object>())->buffer();
    if (plan_->arena > 0 && (!arena || arena->floats() < plan_->arena)) throw Napi::RangeError::New(env, "program: the arena is too small");
    const Napi::Array given = info[2].As<Napi::Array>();
    if (given.Length() != plan_->externals.size()) throw Napi::RangeError::New(env, "program: another number of external values");
    std::vector<External> externals;
    for (std::uint32_t i = 0; i < given.Length(); i++) {
      const Napi::Value value = given.Get(i);
      if (!value.IsTypedArray()) throw Napi::TypeError::New(env, "program: external values are typed arrays");
      const View view = view_of(env, value);
      const bool bytes = view.type == napi_uint8_array;
      if (!bytes && view.type != napi_float32_array)
        throw Napi::TypeError::New(env, "program: external values are floats or bytes");
      if (static_cast<std::int64_t>(view.length) < plan_->externals[i])
        throw Napi::RangeError::New(env, "program: external value " + std::to_string(i) + " has " +
                                             std::to_string(view.length) + " of " +
                                             std::to_string(plan_->externals[i]) + " values");
      externals.push_back({static_cast<char*>(view.data), bytes});
    }
    const Napi::Value cancel = info[3];
    if (!cancel.IsTypedArray() || cancel.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array ||
        cancel.As<Napi::TypedArray>().ElementLength() < 1)
      throw Napi::TypeError::New(env, "program: a byte to cancel with is missing");
    const unsigned char* cancelled = cancel.As<Napi::Uint8Array>().Data();
    auto task = std::make_unique<Task>();
    task->threads = static_cast<int>(info[1].ToNumber().Int64Value());
    task->work = [plan = plan_, arena, externals = std::move(externals), cancelled](const std::atomic<bool>& stopping) {
      const Memory memory{arena ? arena->data() : nullptr, plan->constants ? plan->constants->data() : nullptr,
                          externals.data()};
      return run_steps(*plan, memory, cancelled, stopping);
    };
    // Held values live until the run has settled.
    const auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(given.As<Napi::Object>()));
    const auto flag = std::make_shared<Napi::ObjectReference>(Napi::Persistent(cancel.As<Napi::Object>()));
    const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
    task->settle = [held, flag, deferred](Napi::Env settled, const std::string& error) {
      if (error.empty()) deferred.Resolve(settled.Undefined());
      else deferred.Reject(Napi::Error::New(settled, error).Value());
    };
    runner_of(env).enqueue(env, std::move(task));
    return deferred.Promise();
  }
  // Nanoseconds per step, summed over the runs so far.
  Napi::Value Timings(const Napi::CallbackInfo& info) {
    Napi::Array list = Napi::Array::New(info.Env());
    for (std::size_t i = 0; plan_ && i < plan_->nanoseconds.size(); i++)
      list.Set(static_cast<std::uint32_t>(i), Napi::Number::New(info.Env(), plan_->nanoseconds[i]));
    return list;
  }
  void Dispose(const Napi::CallbackInfo&) { plan_.reset(); }

  std::shared_ptr<Plan> plan_;
};

// packedSize(taps, in, out, bf16)
Napi::Value PackedSize(const Napi::CallbackInfo& info) {
  const auto size = info[3].ToBoolean() ? best_kernels().packed_size_bf16 : best_kernels().packed_size;
  return Napi::Number::New(info.Env(), static_cast<double>(size(info[0].ToNumber().Int64Value(),
                                                                info[1].ToNumber().Int64Value(),
                                                                info[2].ToNumber().Int64Value())));
}

// winogradPackedSize(temporal, in, out)
Napi::Value WinogradPackedSize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(best_kernels().winograd_packed_size(
                                           info[0].ToBoolean(), info[1].ToNumber().Int64Value(),
                                           info[2].ToNumber().Int64Value())));
}

// winogradScratch(description of a step)
Napi::Value WinogradScratch(const Napi::CallbackInfo& info) {
  try {
    return Napi::Number::New(info.Env(), static_cast<double>(winograd_scratch(info[0].As<Napi::Object>())));
  } catch (const std::invalid_argument& error) {
    throw Napi::Error::New(info.Env(), error.what());
  }
}

Napi::Value InstructionSet(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), best_kernels().name); }

Napi::Value HasBf16(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), best_kernels().has_bf16); }

Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance);
  // Asked each time, as kernels are: MN_VIDEO_ISA may have changed.
  exports.DefineProperties({Napi::PropertyDescriptor::Accessor<InstructionSet>("instructionSet", napi_enumerable),
                            Napi::PropertyDescriptor::Accessor<HasBf16>("hasBf16", napi_enumerable)});
  exports.Set("version", MN_VERSION);
  Napi::Object limits = Napi::Object::New(env);
  limits.Set("firstExternal", static_cast<double>(first_external));
  limits.Set("threads", static_cast<double>(team_limit));
  limits.Set("multiplyAddsPerItem", static_cast<double>(multiply_adds_per_item));
  exports.Set("limits", limits);
  exports.Set("Memory", MemoryObject::Define(env));
  exports.Set("Program", Program::Define(env));
  exports.Set("packedSize", Napi::Function::New<PackedSize>(env));
  exports.Set("winogradPackedSize", Napi::Function::New<WinogradPackedSize>(env));
  exports.Set("winogradScratch", Napi::Function::New<WinogradScratch>(env));
  return exports;
}

NODE_API_MODULE(mn_video, Initialise)

}  // namespace
}  // namespace mn
