// Loops shared out among the threads of a run. Each thread starts with its own contiguous part, whose values it
// probably computed in the step before, then helps with the parts of others: a processor that is slow for a moment
// holds nobody up.
#pragma once

namespace mn {

// Threads that loops are shared among: those of the run that calls; 1 outside runs.
long team_size();
// Calls work(context, thread) on the calling thread (0) and on those of its team that come in time.
void with_team(void (*work)(void* context, long thread), void* context);

constexpr long team_limit = 256;

// Part of a loop that is still to do; on a cache line of its own.
struct alignas(64) Portion {
  long next, end;
};

}  // namespace mn

namespace mn::MN_ISA {

// The items that one thread of a loop takes.
class Items {
 public:
  Items(Portion* portions, long threads, long thread) : portions_(portions), threads_(threads), thread_(thread) {}
  // An item that nobody else has, or -1 when there are no more.
  long next() {
    for (; visited_ < threads_; visited_++) {
      Portion& portion = portions_[(thread_ + visited_) % threads_];
      const long item = __atomic_fetch_add(&portion.next, 1, __ATOMIC_RELAXED);
      if (item < portion.end) return item;
    }
    return -1;
  }

 private:
  Portion* portions_;
  long threads_, thread_, visited_ = 0;
};

// Calls body(items) once on every thread that takes part: room for what a thread needs while it takes items.
template <class Body>
inline void in_parallel(long count, Body body) {
  const long size = team_size();
  const long threads = count < size ? count : size;
  if (threads <= 1) {
    Portion all{0, count};
    Items items(&all, 1, 0);
    body(items);
    return;
  }
  Portion portions[team_limit];
  for (long t = 0; t < threads; t++) portions[t] = {count * t / threads, count * (t + 1) / threads};
  struct Shared {
    Body& body;
    Portion* portions;
    long threads;
  } shared{body, portions, threads};
  with_team(
      [](void* context, long thread) {
        const Shared& s = *static_cast<Shared*>(context);
        Items items(s.portions, s.threads, thread % s.threads);
        s.body(items);
      },
      &shared);
}

// Calls body(i) for every i below count, in runs of neighbours.
template <class Body>
inline void for_each(long count, Body body) {
  const long wanted = 16 * team_size();
  const long runs = count < wanted ? count : wanted;
  in_parallel(runs, [&](Items& items) {
    for (long run; (run = items.next()) >= 0;)
      for (long i = count * run / runs; i < count * (run + 1) / runs; i++) body(i);
  });
}

}  // namespace mn::MN_ISA
