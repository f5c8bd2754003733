#include "team.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include <algorithm>
#include <chrono>

#include "kernels/parallel.h"

namespace mn {
namespace {

// Longer than what lies between two steps, short enough not to be noticed by other programs.
constexpr std::chrono::microseconds patience{200};

thread_local Team* current = nullptr;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

long team_size() { return current ? current->size() : 1; }

void with_team(void (*work)(void*, long), void* context) {
  if (current) current->share(work, context);
  else work(context, 0);
}

Team::~Team() { stop(); }

// Linux wakes a sleeping thread on the processor of the one that wakes it where the others look taken, and takes a
// virtual machine's halted processors for that. Leader and helper then share one processor until the next balancing,
// milliseconds later: longer than a small network runs.
void Team::spread() {
#if defined(__linux__)
  if (crowded_ || sched_getcpu() == leader_processor_) return;
  leader_processor_ = sched_getcpu();
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || !CPU_ISSET(leader_processor_, &allowed)) return;
  if (CPU_COUNT(&allowed) < size()) return;
  // The processors after the leader's, in equal shares.
  const long others = CPU_COUNT(&allowed) - 1;
  int processor = leader_processor_;
  for (long helper = 0, dealt = 0; helper < size() - 1; helper++) {
    cpu_set_t share;
    CPU_ZERO(&share);
    for (; dealt < others * (helper + 1) / (size() - 1); dealt++) {
      do processor = (processor + 1) % CPU_SETSIZE;
      while (!CPU_ISSET(processor, &allowed));
      CPU_SET(processor, &share);
    }
    pthread_setaffinity_np(helpers_[helper].native_handle(), sizeof share, &share);
  }
#endif
}

void Team::lead(int threads) {
  current = this;
  const long wanted = std::clamp<long>(threads, 1, team_limit);
  if (wanted == size()) return;
  stop();
  const unsigned processors = std::thread::hardware_concurrency();
  crowded_ = processors > 0 && wanted > static_cast<long>(processors);
  const unsigned seen = generation_.load();
  for (long thread = 1; thread < wanted; thread++) helpers_.emplace_back([this, thread, seen] { help(thread, seen); });
}

void Team::share(void (*work)(void*, long), void* context) {
  if (helpers_.empty()) return work(context, 0);
  spread();
  const Job job{work, context};
  job_.store(&job);
  generation_.fetch_add(1);
  if (sleepers_.load() > 0) {
    { const std::lock_guard<std::mutex> lock(mutex_); }
    wake_.notify_all();
  }
  work(context, 0);
  // Nothing is left to take. Helpers that come from here on find no job; those inside are waited for. This order,
  // with theirs (inside_ first, then job_), needs the sequential consistency that is the default of atomics.
  job_.store(nullptr);
  for (long spins = 0; inside_.load() > 0; spins++) {
    if (crowded_ || spins > 20000) std::this_thread::yield();
    else pause();
  }
}

void Team::help(long thread, unsigned seen) {
  while (!stopping_.load()) {
    const auto start = std::chrono::steady_clock::now();
    while (generation_.load() == seen && !crowded_) {
      for (int i = 0; i < 32 && generation_.load(std::memory_order_relaxed) == seen; i++) pause();
      if (std::chrono::steady_clock::now() - start > patience) break;
    }
    if (generation_.load() == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      sleepers_.fetch_sub(1);
    }
    seen = generation_.load();
    inside_.fetch_add(1);
    if (const Job* job = job_.load()) job->work(job->context, thread);
    inside_.fetch_sub(1);
  }
}

void Team::stop() {
  if (helpers_.empty()) return;
  stopping_.store(true);
  generation_.fetch_add(1);
  { const std::lock_guard<std::mutex> lock(mutex_); }
  wake_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
  helpers_.clear();
  leader_processor_ = -1;
  stopping_.store(false);
}

}  // namespace mn
