// Entry points for XLA: solve, its adjoint and its tangent, on the threads XLA lends.
namespace ffi = xla::ffi;
using Real = ffi::Buffer<ffi::F64>;
using Whole = ffi::Buffer<ffi::S32>;
using RealOut = ffi::ResultBuffer<ffi::F64>;
using WholeOut = ffi::ResultBuffer<ffi::S32>;
using Ticket = ffi::Buffer<ffi::S64>;
using TicketOut = ffi::ResultBuffer<ffi::S64>;

// `work` on this thread and on up to threads - 1 helpers; a helper that comes after this thread is done does nothing.
template <class Work>
static void together(ffi::ThreadPool pool, int64_t threads, Work work) {
  struct Shared {
    std::mutex lock;
    std::condition_variable idle;
    int running = 0;
    bool closed = false;
  };
  auto shared = std::make_shared<Shared>();
  Work *job = &work;
  for (int64_t i = 1; i < threads; i++)
    pool.Schedule([shared, job] {
      {
        std::lock_guard<std::mutex> hold(shared->lock);
        if (shared->closed) return;
        shared->running++;
      }
      (*job)();
      std::lock_guard<std::mutex> hold(shared->lock);
      shared->running--;
      shared->idle.notify_all();
    });
  work();
  std::unique_lock<std::mutex> hold(shared->lock);
  shared->closed = true;
  shared->idle.wait(hold, [&] { return shared->running == 0; });
}

// What a solve under differentiation recorded, kept for the adjoint or the tangent that follows; whoever does not find it marches again.
struct Tape {
  int64_t id = 0;
  std::vector<Track> tracks;
  size_t bytes() const {
    size_t sum = 0;
    for (const Track &k : tracks) sum += k.rows.capacity() * sizeof(double) + k.looks.capacity() * sizeof(Look);
    return sum;
  }
};
class Shelf {
  std::mutex lock;
  std::vector<std::unique_ptr<Tape>> kept;  // the first is the first to be written over
  int64_t last = 0;
  static constexpr size_t MOST = 8, BYTES = size_t(256) << 20;

 public:
  static Shelf &only() {
    static Shelf *shelf = new Shelf;  // never destroyed: threads of XLA may outlive the statics
    return *shelf;
  }
  std::unique_ptr<Tape> take(int64_t id) {
    std::lock_guard<std::mutex> hold(lock);
    for (auto it = kept.begin(); it != kept.end(); ++it)
      if ((*it)->id == id) {
        std::unique_ptr<Tape> tape = std::move(*it);
        kept.erase(it);
        return tape;
      }
    return nullptr;
  }
  std::unique_ptr<Tape> blank() {
    std::lock_guard<std::mutex> hold(lock);
    std::unique_ptr<Tape> tape;
    if (kept.size() < MOST) tape = std::make_unique<Tape>();
    else { tape = std::move(kept.front()); kept.erase(kept.begin()); }
    tape->id = ++last;
    return tape;
  }
  void put(std::unique_ptr<Tape> tape, bool used) {
    std::lock_guard<std::mutex> hold(lock);
    kept.insert(used ? kept.begin() : kept.end(), std::move(tape));
    size_t sum = 0;
    for (auto &x : kept) sum += x->bytes();
    while (!kept.empty() && (sum > BYTES || kept.size() > MOST)) { sum -= kept.front()->bytes(); kept.erase(kept.begin()); }
  }
};
constexpr int64_t RECORDED = 512;  // subjects; more than these are marched again, block by block

// Subjects are taken in blocks, so that what is recorded stays small: 1024 where only observations are kept, else 128 a thread.
struct Crew {
  ffi::ThreadPool pool;
  int64_t threads;
  Crew(ffi::ThreadPool pool, int64_t asked, int64_t B) : pool(pool), threads(asked > 0 ? asked : pool.num_threads()) {
    threads = std::max<int64_t>(1, std::min<int64_t>(threads, (B + W - 1) / W));
  }
  template <class Phase>
  void phase(int64_t from, Phase work) {
    std::atomic<int64_t> next(from);
    together(pool, threads, [&] { work(next); });
  }
  template <bool RECORD>
  void march(const Problem &P, Track *tracks, Paths &paths, int64_t base, int64_t stop) {
    phase(base, [&](auto &next) { Front<RECORD>(P, tracks, base, stop, next); });
    for (int64_t b = base; b < stop; b++) paths.track[b - base] = tracks + (b - base);
  }
  // `block(paths, base, stop)` for each block once its subjects have been marched or found on the shelf.
  template <bool RECORD, class Block>
  void blocks(const Problem &P, const int64_t *ticket, int64_t size, Block block) {
    static thread_local std::vector<Track> tracks;
    const int64_t id = ticket && P.B ? ticket[0] >> 32 : 0;
    bool found = id > 0;
    for (int64_t b = 0; b < P.B && found; b++) found = ticket[b] >> 32 == id;
    std::unique_ptr<Tape> tape = found ? Shelf::only().take(id) : nullptr;
    size *= threads;
    if (!tape && int64_t(tracks.size()) < std::min(P.B, size)) tracks.resize(std::min(P.B, size));
    for (int64_t base = 0; base < P.B; base += size) {
      const int64_t stop = std::min(base + size, P.B);
      Paths paths(base, stop, RECORD ? P.M : 0);
      if (!tape) march<RECORD>(P, tracks.data(), paths, base, stop);
      else
        for (int64_t b = base; b < stop; b++) paths.track[b - base] = &tape->tracks[ticket[b] & 0xffffffff];
      block(paths, base, stop);
    }
    if (tape) Shelf::only().put(std::move(tape), true);
  }
};

static std::vector<int64_t> longest_first(const Paths &paths, int64_t base, int64_t stop) {
  std::vector<int64_t> order(stop - base);
  for (int64_t i = 0; i < stop - base; i++) order[i] = base + i;
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return paths[a].steps > paths[b].steps; });
  return order;
}

#define PKPD_CONST ffi::ThreadPool pool, double rtol, int64_t max_steps, int64_t threads, Real atol, Real reset, Real clear, Whole segment
#define PKPD_GIVEN(x) Real x##edges, Real x##jump, Real x##rate, Real x##y0, Real x##p, Real x##q, Real x##times
#define PKPD_PROBLEM(x)                                                                                                             \
  Problem {                                                                                                                         \
    y0.dimensions()[1], rate.dimensions()[0], times.dimensions()[0], x##edges.typed_data(), x##jump.typed_data(),                   \
        x##rate.typed_data(), reset.typed_data(), clear.typed_data(), x##y0.typed_data(), x##p.typed_data(), x##q.typed_data(),     \
        x##times.typed_data(), atol.typed_data(), segment.typed_data(), rtol, max_steps                                             \
  }

static void report(const Problem &P, Crew &crew, Paths &paths, int64_t base, int64_t stop, double *y, int32_t *status, int32_t *steps) {
  crew.phase(base, [&](auto &next) { read_looks(P, paths, base, stop, next, y); });
  for (int64_t b = base; b < stop; b++) {
    status[b] = paths[b].status;
    steps[b] = paths[b].tries;
    if (paths[b].status != OK)
      for (int64_t i = 0; i < P.M * N; i++) y[i * P.B + b] = NAN;
  }
}

static ffi::Error solve(PKPD_CONST, PKPD_GIVEN(), RealOut y, WholeOut status, WholeOut steps) {
  const Problem P = PKPD_PROBLEM();
  Crew crew(pool, threads, P.B);
  crew.blocks<false>(P, nullptr, 1024, [&](Paths &paths, int64_t base, int64_t stop) {
    report(P, crew, paths, base, stop, y->typed_data(), status->typed_data(), steps->typed_data());
  });
  return ffi::Error::Success();
}

// As `solve`, with a ticket a lane by which the adjoint and the tangent find what was recorded: the tape's number and the lane in it.
static ffi::Error record(PKPD_CONST, PKPD_GIVEN(), RealOut y, WholeOut status, WholeOut steps, TicketOut ticket) {
  const Problem P = PKPD_PROBLEM();
  if (P.B > RECORDED) {
    std::fill_n(ticket->typed_data(), P.B, int64_t(0));
    return solve(pool, rtol, max_steps, threads, atol, reset, clear, segment, edges, jump, rate, y0, p, q, times, y, status, steps);
  }
  Crew crew(pool, threads, P.B);
  std::unique_ptr<Tape> tape = Shelf::only().blank();
  tape->tracks.resize(P.B);
  Paths paths(0, P.B, 0);
  crew.march<true>(P, tape->tracks.data(), paths, 0, P.B);
  report(P, crew, paths, 0, P.B, y->typed_data(), status->typed_data(), steps->typed_data());
  for (int64_t b = 0; b < P.B; b++) ticket->typed_data()[b] = tape->id << 32 | b;
  Shelf::only().put(std::move(tape), false);
  return ffi::Error::Success();
}

static ffi::Error pull(PKPD_CONST, PKPD_GIVEN(), Ticket ticket, Real weight, RealOut gedges, RealOut gjump, RealOut grate, RealOut gy0,
                       RealOut gp, RealOut gq, RealOut gtimes) {
  const Problem P = PKPD_PROBLEM();
  const Gradient G{weight.typed_data(), gedges->typed_data(), gjump->typed_data(), grate->typed_data(),
                   gy0->typed_data(),   gp->typed_data(),     gq->typed_data(),    gtimes->typed_data()};
  for (RealOut *x : {&gedges, &gjump, &grate, &gy0, &gp, &gq, &gtimes})
    std::fill_n((*x)->typed_data(), (*x)->element_count(), 0.0);
  Crew crew(pool, threads, P.B);
  crew.blocks<true>(P, ticket.typed_data(), 128, [&](Paths &paths, int64_t base, int64_t stop) {
    crew.phase(base, [&](auto &next) { pull_looks(P, paths, base, stop, next, G); });
    const auto order = longest_first(paths, base, stop);
    crew.phase(0, [&](auto &next) { Back(P, paths, order, next, G); });
  });
  return ffi::Error::Success();
}

static ffi::Error push(PKPD_CONST, PKPD_GIVEN(), Ticket ticket, PKPD_GIVEN(d), RealOut dy) {
  const Problem P = PKPD_PROBLEM(), T = PKPD_PROBLEM(d);
  Crew crew(pool, threads, P.B);
  crew.blocks<true>(P, ticket.typed_data(), 128, [&](Paths &paths, int64_t base, int64_t stop) {
    const auto order = longest_first(paths, base, stop);
    crew.phase(0, [&](auto &next) { Push(P, T, paths, order, next); });
    crew.phase(base, [&](auto &next) { push_looks(P, T, paths, base, stop, next, dy->typed_data()); });
    for (int64_t b = base; b < stop; b++)
      if (paths[b].status != OK)
        for (int64_t i = 0; i < P.M * N; i++) dy->typed_data()[i * P.B + b] = NAN;
  });
  return ffi::Error::Success();
}

}  // namespace

#define PKPD_BIND_CONST                                                                                                               \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Attr<double>("rtol").Attr<int64_t>("max_steps").Attr<int64_t>("threads").Arg<Real>().Arg<Real>() \
      .Arg<Real>().Arg<Whole>()
#define PKPD_BIND_GIVEN Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>()
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_solve, solve, PKPD_BIND_CONST.PKPD_BIND_GIVEN.Ret<Real>().Ret<Whole>().Ret<Whole>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_record, record, PKPD_BIND_CONST.PKPD_BIND_GIVEN.Ret<Real>().Ret<Whole>().Ret<Whole>().Ret<Ticket>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_pull, pull,
                              PKPD_BIND_CONST.PKPD_BIND_GIVEN.Arg<Ticket>().Arg<Real>().Ret<Real>().Ret<Real>().Ret<Real>().Ret<Real>().Ret<Real>()
                                  .Ret<Real>().Ret<Real>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_push, push, PKPD_BIND_CONST.PKPD_BIND_GIVEN.Arg<Ticket>().PKPD_BIND_GIVEN.Ret<Real>());
