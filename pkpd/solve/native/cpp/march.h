// Forward in time: W subjects at once, each lane with its own time, step and segment; a lane that finishes takes the next subject.
constexpr int ROW = N + 2;  // state, time and length of one accepted step

// An observation: where it stands, the step it lies in, and the state at the start of that step.
struct Look {
  int64_t m, step;
  int32_t e, side;  // side: -1 held at the left edge of its segment, 1 at the right one, 0 inside
  double time, start, y[N];
};
struct Slopes {
  double begin[N], end[N];
};

// One subject's path: accepted steps, slopes at the ends of segments, observations in order of time.
struct Track {
  std::vector<double> rows;
  std::vector<int64_t> first;  // the step each segment begins with
  std::vector<Slopes> slopes;
  std::vector<Look> looks;
  int64_t steps = 0;
  int32_t last = 0, status = OK, tries = 0;
  bool begin(const Problem &P, int64_t b);
};

static bool sound(const Problem &P, int64_t b) {
  double sum = 0.0;  // x * 0 is NaN for an infinite or missing x
  auto add = [&](const double *x, int64_t rows) { for (int64_t i = 0; i < rows; i++) sum += x[i * P.B + b] * 0.0; };
  add(P.edges, P.E + 1); add(P.jump, P.E * N); add(P.rate, P.E * N); add(P.y0, N); add(P.p, K); add(P.q, J * P.E); add(P.times, P.M);
  return sum == 0.0;
}

bool Track::begin(const Problem &P, int64_t b) {
  rows.clear(); first.clear(); slopes.clear(); looks.resize(P.M);
  steps = 0; tries = 0; last = 0;
  status = sound(P, b) ? OK : NOT_FINITE;
  if (status != OK || P.M == 0) return false;
  for (int64_t m = 0; m < P.M; m++) {
    Look &k = looks[m];
    k.m = m;
    k.e = std::min<int32_t>(std::max<int32_t>(P.segment[m * P.B + b], 0), P.E - 1);
    const double a = P.edge(k.e, b), z = P.edge(k.e + 1, b), x = P.times[m * P.B + b];
    k.side = x < a ? -1 : x > z ? 1 : 0;
    k.time = k.side < 0 ? a : k.side > 0 ? z : x;
    last = std::max(last, k.e);
  }
  auto earlier = [](const Look &a, const Look &b) { return a.e != b.e ? a.e < b.e : a.time < b.time; };
  if (!std::is_sorted(looks.begin(), looks.end(), earlier)) std::stable_sort(looks.begin(), looks.end(), earlier);
  return true;
}

static inline vec squared_size(const vec *x, const vec *scale) {
  vec sum = all(0.0);
  for (int i = 0; i < N; i++) sum += (x[i] / scale[i]) * (x[i] / scale[i]);
  return sum / all(N);
}

// Which subjects are to be done: numbers of a list, or 0 .. count - 1, each taken by one thread.
struct Queue {
  int64_t count;
  const int64_t *order;
  std::atomic<int64_t> next{0};
  Queue(int64_t count, const int64_t *order = nullptr) : count(count), order(order) {}
  int64_t take() {
    const int64_t place = next++;
    return place >= count ? -1 : order ? order[place] : place;
  }
};

// The lanes of one thread. RECORD keeps what the way back needs. `where(b, l)` is the track of subject b in lane l, `done(b, track)` is told when it has ended.
template <bool RECORD, class Where, class Done>
struct Front {
  const Problem &P;
  Queue &queue;
  Where where;
  Done done;
  vec y[N], slope[N], p[K1], q[J1], r[N], t, until, h, before, look;
  mask active = truth(false), fresh = truth(false);
  int64_t id[W], at[W], tries[W];
  int32_t e[W];
  Track *own[W];

  Front(const Problem &P, Queue &queue, Where where, Done done) : P(P), queue(queue), where(where), done(done) {
    for (int i = 0; i < N; i++) y[i] = slope[i] = r[i] = all(0.0);
    for (int i = 0; i < K1; i++) p[i] = all(1.0);
    for (int i = 0; i < J1; i++) q[i] = all(1.0);
    t = until = h = before = all(0.0);
    look = all(INFINITY);
    for (int l = 0; l < W; l++) refill(l);
    while (bits(active)) {
      if (bits(fresh)) start();
      step();
    }
  }

  Track &track(int l) { return *own[l]; }

  void refill(int l) {
    for (;;) {
      active[l] = fresh[l] = 0;
      look[l] = INFINITY;
      const int64_t b = queue.take();
      if (b < 0) return;
      id[l] = b;
      own[l] = where(b, l);
      if (track(l).begin(P, b)) {
        for (int i = 0; i < N; i++) y[i][l] = P.y0[i * P.B + b];
        for (int i = 0; i < K; i++) p[i][l] = P.p[i * P.B + b];
        at[l] = 0;
        if (enter(l, 0)) return;
      }
      done(b, track(l));
    }
  }

  // What happens at the start of a segment; false where the state is no longer finite.
  bool enter(int l, int32_t segment) {
    const int64_t b = id[l];
    Track &k = track(l);
    e[l] = segment;
    tries[l] = 0;
    double sum = 0.0;
    for (int i = 0; i < N; i++) {
      y[i][l] = y[i][l] * P.kept(segment, b) + P.y0[i * P.B + b] * P.reset[segment * P.B + b] + P.jump[P.table(segment, i, b)];
      r[i][l] = P.rate[P.table(segment, i, b)];
      sum += y[i][l] * 0.0;
    }
    for (int j = 0; j < J; j++) q[j][l] = P.q[P.covariate(j, segment, b)];
    t[l] = P.edge(segment, b);
    until[l] = std::max(double(t[l]), segment == k.last ? k.looks.back().time : P.edge(segment + 1, b));
    next_look(l);
    if (RECORD) { k.first.push_back(k.steps); k.slopes.emplace_back(); }
    if (sum != 0.0) { k.status = NOT_FINITE; return false; }
    active[l] = fresh[l] = -1;
    return true;
  }

  void next_look(int l) {
    const Track &k = track(l);
    const bool here = at[l] < P.M && k.looks[at[l]].e == e[l];
    look[l] = here ? k.looks[at[l]].time : INFINITY;
  }

  // The slope at the start of a segment and the first step there: Hairer, Norsett & Wanner, Solving ODEs I, II.4.
  void start() {
    vec f[N], scale[N], z[N], g[N];
    rates(t, y, p, q, r, f);
    for (int i = 0; i < N; i++) {
      slope[i] = choose(fresh, f[i], slope[i]);
      scale[i] = all(P.atol[i]) + all(P.rtol) * vabs(y[i]);
    }
    const vec length = until - t, d0 = vsqrt(squared_size(y, scale)), d1 = vsqrt(squared_size(f, scale));
    vec h0 = choose((mask)(d0 < all(1e-5)) | (mask)(d1 < all(1e-5)), all(1e-4) * length, all(0.01) * d0 / d1);
    h0 = choose((mask)(h0 < length), h0, length);
    for (int i = 0; i < N; i++) z[i] = y[i] + h0 * f[i];
    rates(t + h0, z, p, q, r, g);
    for (int i = 0; i < N; i++) g[i] -= f[i];
    const vec d2 = vsqrt(squared_size(g, scale)) / h0, most = vmax(d1, d2);
    const vec h1 = vexp(vlog(all(0.01) / most) * all(1.0 / ORDER));
    vec h2 = choose((mask)(h1 < all(100.0) * h0), h1, all(100.0) * h0);
    h2 = choose((mask)(h2 > all(0.0)), h2, all(1e-6) * length);
    h = choose(fresh, h2, h);
    before = choose(fresh, all(0.0), before);
    fresh = truth(false);
  }

  void step() {
    const vec left = until - t;
    const mask hit = active & (mask)(h * all(1.0 + 1e-9) >= left);
    const vec now = choose(active, choose(hit, left, h), all(0.0));
    vec end[N], end_slope[N], error[N], scale[N];
    attempt(t, y, slope, now, p, q, r, end, end_slope, error);
    for (int i = 0; i < N; i++) scale[i] = all(P.atol[i]) + all(P.rtol) * vmax(vabs(y[i]), vabs(end[i]));
    vec size = squared_size(error, scale);
    const mask missing = (mask)(size != size);
    size = choose((mask)(size < all(1e8)), size, all(1e8));
    const mask taken = active & (mask)(size <= all(1.0));
    const vec log_size = all(0.5) * vlog(vmax(size, all(1e-16)));
    vec factor = choose(taken, all(-0.7 / ORDER) * log_size + all(0.4 / ORDER) * before, all(-1.0 / ORDER) * log_size);
    factor = vmin(vmax(all(0.9) * vexp(factor), all(0.1)), all(6.0));
    const vec stop_at = choose(hit, until, t + now);
    const mask stuck = active & ~taken & (mask)(t + all(0.125) * now == t);
    for (int l = 0; l < W; l++) tries[l]++;
    if (RECORD) keep(bits(taken), now);
    const mask seen = taken & (mask)(look <= stop_at);
    if (bits(seen)) observe(bits(seen), stop_at);
    for (int i = 0; i < N; i++) {
      y[i] = choose(taken, end[i], y[i]);
      slope[i] = choose(taken, end_slope[i], slope[i]);
    }
    t = choose(taken, stop_at, t);
    before = choose(taken, vmax(log_size, all(-9.0)), before);
    h = choose(hit & taken, vmax(h * vmin(factor, all(1.0)), now * factor), now * factor);
    settle(bits(active), bits(hit & taken), bits(stuck), bits(missing));
  }

  void keep(unsigned which, const vec now) {
    for (int l = 0; l < W; l++) {
      if (!(which >> l & 1)) continue;
      Track &k = track(l);
      if (k.first.back() == k.steps)
        for (int i = 0; i < N; i++) k.slopes.back().begin[i] = slope[i][l];
      const size_t size = k.rows.size();
      k.rows.resize(size + ROW);
      double *row = k.rows.data() + size;
      for (int i = 0; i < N; i++) row[i] = y[i][l];
      row[N] = t[l];
      row[N + 1] = now[l];
      k.steps++;
    }
  }

  void observe(unsigned which, const vec stop_at) {
    for (int l = 0; l < W; l++) {
      if (!(which >> l & 1)) continue;
      Track &k = track(l);
      while (look[l] <= stop_at[l]) {
        Look &here = k.looks[at[l]++];
        here.step = k.steps - 1;
        here.start = t[l];
        for (int i = 0; i < N; i++) here.y[i] = y[i][l];
        next_look(l);
      }
    }
  }

  // Lanes at the end of a segment go on to the next; lanes that are done or have failed take another subject.
  void settle(unsigned running, unsigned arrived, unsigned stuck, unsigned missing) {
    for (int l = 0; l < W; l++) {
      if (!(running >> l & 1)) continue;
      Track &k = track(l);
      const bool over = tries[l] >= P.max_steps && !(arrived >> l & 1);
      if (!((arrived | stuck) >> l & 1) && !over) continue;
      k.tries += int32_t(tries[l]);
      if (over || (stuck >> l & 1)) k.status = missing >> l & 1 ? NOT_FINITE : STEPS_EXHAUSTED;
      if (RECORD)
        for (int i = 0; i < N; i++) k.slopes.back().end[i] = slope[i][l];
      if (k.status == OK && e[l] < k.last && enter(l, e[l] + 1)) continue;
      done(id[l], k);
      refill(l);
    }
  }
};

template <bool RECORD, class Where, class Done>
static void march(const Problem &P, Queue &queue, Where where, Done done) {
  Front<RECORD, Where, Done>(P, queue, where, done);
}
