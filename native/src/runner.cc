#include "runner.h"

#include <exception>
#include <utility>

#include "team.h"

namespace mn {

Runner::Runner(Napi::Env env) : delivery_(Delivery::New(env, "mn-video run", 0, 1, this)) {
  delivery_.Unref(env);
  thread_ = std::thread([this] { run(); });
}

Runner::~Runner() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_.store(true);
  }
  wake_.notify_all();
  thread_.join();
  delivery_.Release();
}

void Runner::enqueue(Napi::Env env, std::unique_ptr<Task> task) {
  if (unsettled_++ == 0) delivery_.Ref(env);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(task));
  }
  wake_.notify_all();
}

void Runner::run() {
  Team team;
  for (;;) {
    std::unique_ptr<Task> task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return stopping_.load() || !waiting_.empty(); });
      if (stopping_.load()) return;
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    team.lead(task->threads);
    try {
      task->error = task->work(stopping_);
    } catch (const std::exception& error) {
      task->error = error.what();
    }
    // Refused only while JavaScript ends, on whose thread alone the task's references could be given back.
    delivery_.NonBlockingCall(task.release());
  }
}

// env is null when JavaScript can no longer be called.
void Runner::deliver(Napi::Env env, Napi::Function, Runner* runner, Task* task) {
  const std::unique_ptr<Task> owned(task);
  if (env == nullptr) return;
  if (--runner->unsettled_ == 0) runner->delivery_.Unref(env);
  const Napi::HandleScope scope(env);
  try {
    task->settle(env, task->error);
  } catch (const Napi::Error&) {
    // JavaScript is being terminated: nobody waits any more.
  }
}

}  // namespace mn
