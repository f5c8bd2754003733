// The thread that runs programs: one per add-on instance, with its team. JavaScript waits for promises meanwhile.
#pragma once
#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace mn {

// Work for the runner's thread and what to do on the JavaScript thread when it is done.
struct Task {
  // Gives what went wrong, or nothing. Looks at `stopping` between steps and gives up when it is set.
  std::function<std::string(const std::atomic<bool>& stopping)> work;
  std::function<void(Napi::Env, const std::string& error)> settle;
  int threads = 1;
  std::string error;
};

class Runner {
 public:
  explicit Runner(Napi::Env env);
  // Gives up the run under way at its next step, forgets those that wait, and ends the threads.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Runs tasks in order. Node stays alive until they are settled.
  void enqueue(Napi::Env env, std::unique_ptr<Task> task);

 private:
  static void deliver(Napi::Env env, Napi::Function, Runner* runner, Task* task);
  using Delivery = Napi::TypedThreadSafeFunction<Runner, Task, deliver>;
  void run();

  Delivery delivery_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Task>> waiting_;
  std::atomic<bool> stopping_{false};
  int unsettled_ = 0;  // of the JavaScript thread
};

}  // namespace mn
