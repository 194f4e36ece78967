// Solve, adjoint and tangent from the march and the sweeps.

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
  std::vector<int64_t> longest;  // subjects by the steps they took last time, so that none begins late what takes long; the results are the same
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
  std::vector<int64_t> order(int64_t B) {
    std::lock_guard<std::mutex> hold(lock);
    return int64_t(longest.size()) == B ? longest : std::vector<int64_t>();
  }
  void remember(std::vector<int64_t> order) {
    std::lock_guard<std::mutex> hold(lock);
    longest = std::move(order);
  }
};
constexpr int64_t RECORDED = 512;  // subjects; more than these are marched again, so many at a time:
constexpr int64_t CHUNK = 64;

static int64_t crew(const Problem &P, const Pool &pool, int64_t jobs) {
  return std::max<int64_t>(1, std::min(P.threads > 0 ? P.threads : pool.size, jobs));
}
static int64_t groups_of(const Problem &P) { return (P.B + W - 1) / W; }

template <class Paths>
static std::vector<int64_t> longest_first(int64_t from, int64_t to, Paths paths) {
  std::vector<int64_t> order(to - from);
  for (int64_t i = 0; i < to - from; i++) order[i] = from + i;
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return paths(a)->steps > paths(b)->steps; });
  return order;
}

static void solve(const Arguments &a, const Pool &pool, double *y, int32_t *status, int32_t *steps, int64_t *ticket) {
  const Problem P{a};
  auto done = [&](int64_t b, const Track &k) {
    status[b] = k.status;
    steps[b] = k.tries;
    if (k.status == OK) read_looks(P, k, b, y);
    else
      for (int64_t i = 0; i < P.M * N; i++) y[i * P.B + b] = NAN;
  };
  if (!ticket || P.B > RECORDED) {
    if (ticket) std::fill_n(ticket, P.B, int64_t(0));
    Queue queue(P.B);
    together(pool, crew(P, pool, groups_of(P)), [&] {
      static thread_local Track lanes[W];
      march<false>(P, queue, [](int64_t, int l) { return &lanes[l]; }, done);
    });
    return;
  }
  std::unique_ptr<Tape> tape = Shelf::only().blank();
  tape->tracks.resize(P.B);
  const std::vector<int64_t> order = Shelf::only().order(P.B);
  Queue queue(P.B, order.empty() ? nullptr : order.data());
  together(pool, crew(P, pool, groups_of(P)), [&] { march<true>(P, queue, [&](int64_t b, int) { return &tape->tracks[b]; }, done); });
  for (int64_t b = 0; b < P.B; b++) ticket[b] = tape->id << 32 | b;
  Shelf::only().put(std::move(tape), false);
}

// `sweep(paths, queue)` over all subjects, whose steps are on the shelf or are taken again.
template <class Sweep>
static void retrace(const Problem &P, const Pool &pool, const int64_t *ticket, Sweep sweep) {
  const int64_t id = P.B ? ticket[0] >> 32 : 0;
  bool found = id > 0;
  for (int64_t b = 0; b < P.B && found; b++) found = ticket[b] >> 32 == id;
  if (std::unique_ptr<Tape> tape = found ? Shelf::only().take(id) : nullptr) {
    auto paths = [&](int64_t b) -> const Track * { return &tape->tracks[ticket[b] & 0xffffffff]; };
    std::vector<int64_t> order = longest_first(0, P.B, paths);
    Queue queue(P.B, order.data());
    together(pool, crew(P, pool, groups_of(P)), [&] { sweep(paths, queue); });
    Shelf::only().put(std::move(tape), true);
    Shelf::only().remember(std::move(order));
    return;
  }
  const int64_t chunks = (P.B + CHUNK - 1) / CHUNK;
  std::atomic<int64_t> next(0);
  together(pool, crew(P, pool, chunks), [&] {
    static thread_local std::vector<Track> tracks(CHUNK);
    for (int64_t c; (c = next++) < chunks;) {
      const int64_t from = c * CHUNK, to = std::min(from + CHUNK, P.B);
      auto paths = [from](int64_t b) -> Track * { return &tracks[b - from]; };
      std::vector<int64_t> order(to - from);
      for (int64_t i = from; i < to; i++) order[i - from] = i;
      Queue out(to - from, order.data());
      march<true>(P, out, [&](int64_t b, int) { return paths(b); }, [](int64_t, const Track &) {});
      order = longest_first(from, to, paths);
      Queue back(to - from, order.data());
      sweep(paths, back);
    }
  });
}

static void pull(const Arguments &a, const Pool &pool, const int64_t *ticket, const Gradient &G) {
  const Problem P{a};
  retrace(P, pool, ticket, [&](auto paths, Queue &queue) { Back<decltype(paths)>(P, paths, queue, G); });
}

static void push(const Arguments &a, const Arguments &moved, const Pool &pool, const int64_t *ticket, double *dy) {
  const Problem P{a}, T{moved};
  retrace(P, pool, ticket, [&](auto paths, Queue &queue) { Push<decltype(paths)>(P, T, paths, queue, dy); });
}
