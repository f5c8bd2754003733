// The threads that share a run's loops (kernels/parallel.h). One thread leads; the others spin for a moment between
// two loops, because loops follow each other within microseconds, then sleep.
#pragma once
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace mn {

class Team {
 public:
  Team() = default;
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Makes the calling thread the leader of so many threads, itself included, until the next call.
  void lead(int threads);
  long size() const { return static_cast<long>(helpers_.size()) + 1; }
  void share(void (*work)(void*, long), void* context);

 private:
  struct Job {
    void (*work)(void*, long);
    void* context;
  };
  void help(long thread, unsigned seen);
  // Keeps helpers off the leader's processor and off each other's.
  void spread();
  void stop();

  std::vector<std::thread> helpers_;
  std::atomic<unsigned> generation_{0};  // counts jobs
  std::atomic<const Job*> job_{nullptr};
  std::atomic<int> inside_{0};  // helpers that may be reading job_
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  int leader_processor_ = -1;  // that helpers were last kept off
  bool crowded_ = false;  // more threads than processors: waiting must not take one
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace mn
