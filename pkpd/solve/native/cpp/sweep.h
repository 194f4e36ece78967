// What follows the march: observations by an exact re-step, and one pass back (adjoint) or forward (tangent) over the recorded steps.
// Steps are held. The time of an edge or a look moves what it bounds along the flow: dy = f dt (the general solver does the same).

// Loads of one lane.
static inline void load_rates(const Problem &P, int64_t b, int32_t e, int l, vec *q, vec *r) {
  for (int j = 0; j < J; j++) q[j][l] = P.q[P.covariate(j, e, b)];
  for (int i = 0; i < N; i++) r[i][l] = P.rate[P.table(e, i, b)];
}
static inline void load(const double *from, int rows, int64_t B, int64_t b, int l, vec *to) {
  for (int i = 0; i < rows; i++) to[i][l] = from[i * B + b];
}

// The tracks of a block of lanes, some perhaps shared, and for each look of each lane N numbers to hand over between passes.
struct Paths {
  std::vector<const Track *> track;
  std::vector<double> asked;
  int64_t base, M;
  Paths(int64_t base, int64_t stop, int64_t M) : track(stop - base), asked((stop - base) * M * N), base(base), M(M) {}
  const Track &operator[](int64_t b) const { return *track[b - base]; }
  double *look(int64_t b, int64_t s) { return &asked[((b - base) * M + s) * N]; }
};

struct Gradient {
  const double *weight;  // [M, N, B]
  double *edges, *jump, *rate, *y0, *p, *q, *times;
};

static void fail(const Problem &P, int64_t b, const Gradient &G) {
  auto spoil = [&](double *x, int64_t rows) { for (int64_t i = 0; i < rows; i++) x[i * P.B + b] = NAN; };
  spoil(G.edges, P.E + 1); spoil(G.jump, P.E * N); spoil(G.rate, P.E * N); spoil(G.y0, N); spoil(G.p, K); spoil(G.q, J * P.E);
  spoil(G.times, P.M);
}

// Add the gradients of one lane's covariates and rates to segment e, and begin anew.
static inline void flush(const Problem &P, const Gradient &G, int64_t b, int32_t e, int l, vec *gq, vec *gr) {
  for (int j = 0; j < J; j++) { G.q[P.covariate(j, e, b)] += gq[j][l]; gq[j][l] = 0.0; }
  for (int i = 0; i < N; i++) { G.rate[P.table(e, i, b)] += gr[i][l]; gr[i][l] = 0.0; }
}

// The observations of W neighbouring subjects, the m-th of each at once; `work` does with them what it must.
template <class Work>
static void each_look(const Paths &paths, int64_t base, int64_t stop, std::atomic<int64_t> &next, Work work) {
  for (int64_t first; (first = next.fetch_add(W)) < stop;) {
    int64_t b[W];
    bool live[W];
    unsigned any = 0;
    for (int l = 0; l < W; l++) {
      b[l] = std::min(first + l, stop - 1);
      live[l] = first + l < stop && paths[b[l]].status == OK;
      any |= live[l];
    }
    if (any) work(b, live);
  }
}

// What `look` number s of each lane starts from; a lane without one stands still.
struct Glance {
  vec p[K1], q[J1], r[N], y[N], t, h;
  int32_t e[W];
  const Look *look[W];
  Glance(const Problem &P, const int64_t *b) {
    for (int i = 0; i < K1; i++) p[i] = all(1.0);
    for (int i = 0; i < J1; i++) q[i] = all(1.0);
    for (int i = 0; i < N; i++) y[i] = r[i] = all(0.0);
    t = h = all(0.0);
    for (int l = 0; l < W; l++) { load(P.p, K, P.B, b[l], l, p); e[l] = -1; }
  }
  // `leave(l, e)` before a lane moves from segment e to another.
  template <class Leave>
  void at(const Problem &P, const Paths &paths, const int64_t *b, const bool *live, int64_t s, Leave leave) {
    for (int l = 0; l < W; l++) {
      look[l] = live[l] ? &paths[b[l]].looks[s] : nullptr;
      if (!look[l]) continue;
      if (look[l]->e != e[l]) {
        if (e[l] >= 0) leave(l, e[l]);
        load_rates(P, b[l], e[l] = look[l]->e, l, q, r);
      }
      t[l] = look[l]->start;
      h[l] = look[l]->time - look[l]->start;
      for (int i = 0; i < N; i++) y[i][l] = look[l]->y[i];
    }
  }
};

static void read_looks(const Problem &P, Paths &paths, int64_t base, int64_t stop, std::atomic<int64_t> &next, double *out) {
  each_look(paths, base, stop, next, [&](const int64_t *b, const bool *live) {
    Glance g(P, b);
    for (int64_t s = 0; s < P.M; s++) {
      g.at(P, paths, b, live, s, [](int, int32_t) {});
      vec end[N];
      restep(g.t, g.y, g.h, g.p, g.q, g.r, end);
      for (int l = 0; l < W; l++)
        if (g.look[l])
          for (int i = 0; i < N; i++) out[P.table(g.look[l]->m, i, b[l])] = end[i][l];
    }
  });
}

// Adjoint of the re-steps: what each look asks of the state its step starts from goes to paths.look.
static void pull_looks(const Problem &P, Paths &paths, int64_t base, int64_t stop, std::atomic<int64_t> &next, const Gradient &G) {
  each_look(paths, base, stop, next, [&](const int64_t *b, const bool *live) {
    Glance g(P, b);
    vec gp[K1], gq[J1], gr[N];
    for (int i = 0; i < K1; i++) gp[i] = all(0.0);
    for (int i = 0; i < J1; i++) gq[i] = all(0.0);
    for (int i = 0; i < N; i++) gr[i] = all(0.0);
    for (int64_t s = 0; s < P.M; s++) {
      g.at(P, paths, b, live, s, [&](int l, int32_t e) { flush(P, G, b[l], e, l, gq, gr); });
      vec w[N], end[N], f[N], moved = all(0.0);
      for (int i = 0; i < N; i++) {
        w[i] = all(0.0);
        for (int l = 0; l < W; l++)
          if (g.look[l]) w[i][l] = G.weight[P.table(g.look[l]->m, i, b[l])];
      }
      restep(g.t, g.y, g.h, g.p, g.q, g.r, end);
      rates(g.t + g.h, end, g.p, g.q, g.r, f);
      for (int i = 0; i < N; i++) moved += f[i] * w[i];
      restep_pull(g.t, g.y, g.h, g.p, g.q, g.r, w, gp, gq, gr);
      for (int l = 0; l < W; l++) {
        const Look *k = g.look[l];
        if (!k) continue;
        for (int i = 0; i < N; i++) paths.look(b[l], s)[i] = w[i][l];
        (k->side == 0 ? G.times[k->m * P.B + b[l]] : G.edges[(k->e + (k->side > 0)) * P.B + b[l]]) += moved[l];
      }
    }
    for (int l = 0; l < W; l++)
      if (live[l]) {
        flush(P, G, b[l], g.e[l], l, gq, gr);
        for (int i = 0; i < K; i++) G.p[i * P.B + b[l]] += gp[i][l];
      }
  });
}

// Back over the recorded steps, longest paths first, a free lane taking the next subject.
struct Back {
  const Problem &P;
  Paths &paths;
  const std::vector<int64_t> &order;
  std::atomic<int64_t> &next;
  const Gradient &G;
  vec w[N], y[N], t, h, p[K1], q[J1], r[N], gp[K1], gq[J1], gr[N];
  const double *row[W];
  int64_t id[W], step[W], look[W], first[W], ask[W];
  int32_t e[W];
  bool active[W];

  Back(const Problem &P, Paths &paths, const std::vector<int64_t> &order, std::atomic<int64_t> &next, const Gradient &G)
      : P(P), paths(paths), order(order), next(next), G(G) {
    for (int i = 0; i < N; i++) w[i] = y[i] = r[i] = gr[i] = all(0.0);
    for (int i = 0; i < K1; i++) { p[i] = all(1.0); gp[i] = all(0.0); }
    for (int i = 0; i < J1; i++) { q[i] = all(1.0); gq[i] = all(0.0); }
    t = h = all(0.0);
    int running = 0;
    for (int l = 0; l < W; l++) running += refill(l);
    while (running) {
      for (int l = 0; l < W; l++)
        if (active[l]) fetch(l);
      restep_pull(t, y, h, p, q, r, w, gp, gq, gr);
      for (int l = 0; l < W; l++)
        if (active[l] && arrived(l)) running -= !refill(l);
    }
  }

  bool refill(int l) {
    for (;;) {
      const int64_t place = next++;
      active[l] = false;
      h[l] = 0.0;
      for (int i = 0; i < N; i++) w[i][l] = 0.0;
      if (place >= int64_t(order.size())) return false;
      id[l] = order[place];
      const Track &k = paths[id[l]];
      if (k.status != OK) { fail(P, id[l], G); continue; }
      if (k.steps == 0) continue;
      active[l] = true;
      step[l] = k.steps - 1;
      look[l] = P.M - 1;
      e[l] = k.last;
      first[l] = k.first[e[l]];
      ask[l] = k.looks[look[l]].step;
      load(P.p, K, P.B, id[l], l, p);
      load_rates(P, id[l], e[l], l, q, r);
      return true;
    }
  }

  inline void fetch(int l) {
    const double *from = paths[id[l]].rows.data() + step[l] * ROW;
    for (int i = 0; i < N; i++) y[i][l] = from[i];
    t[l] = from[N];
    h[l] = from[N + 1];
  }

  // True where the lane's subject is done.
  inline bool arrived(int l) {
    if (step[l] == ask[l]) asked(l);
    if (step[l]-- > first[l]) return false;
    return entered(l);
  }

  void asked(int l) {
    const Track &k = paths[id[l]];
    for (; look[l] >= 0 && k.looks[look[l]].step == step[l]; look[l]--)
      for (int i = 0; i < N; i++) w[i][l] += paths.look(id[l], look[l])[i];
    ask[l] = look[l] >= 0 ? k.looks[look[l]].step : -1;
  }

  // The start of a segment, backwards: jump, reset, the slopes on both sides of the edge.
  bool entered(int l) {
    const int64_t b = id[l], B = P.B, s = e[l];
    const Track &k = paths[b];
    double moved = 0.0, kept = P.kept(s, b), reset = P.reset[s * B + b];
    for (int i = 0; i < N; i++) {
      G.jump[P.table(s, i, b)] += w[i][l];
      G.y0[i * B + b] += (s == 0 ? reset + kept : reset) * w[i][l];
      moved -= k.slopes[s].begin[i] * w[i][l];
      w[i][l] *= kept;
      if (s > 0) moved += k.slopes[s - 1].end[i] * w[i][l];
    }
    G.edges[s * B + b] += moved;
    flush(P, G, b, s, l, gq, gr);
    if (s > 0) {
      e[l] = s - 1;
      first[l] = k.first[s - 1];
      load_rates(P, b, e[l], l, q, r);
      return false;
    }
    for (int i = 0; i < K; i++) { G.p[i * B + b] += gp[i][l]; gp[i][l] = 0.0; }
    return true;
  }
};

// Forward over the recorded steps with a tangent; what each look needs goes to paths.look.
struct Push {
  const Problem &P, &T;
  Paths &paths;
  const std::vector<int64_t> &order;
  std::atomic<int64_t> &next;
  vec d[N], y[N], t, h, p[K1], q[J1], r[N], dp[K1], dq[J1], dr[N];
  int64_t id[W], step[W], look[W], stop[W];
  int32_t e[W];
  bool active[W];

  Push(const Problem &P, const Problem &T, Paths &paths, const std::vector<int64_t> &order, std::atomic<int64_t> &next)
      : P(P), T(T), paths(paths), order(order), next(next) {
    for (int i = 0; i < N; i++) d[i] = y[i] = r[i] = dr[i] = all(0.0);
    for (int i = 0; i < K1; i++) { p[i] = all(1.0); dp[i] = all(0.0); }
    for (int i = 0; i < J1; i++) { q[i] = all(1.0); dq[i] = all(0.0); }
    t = h = all(0.0);
    int running = 0;
    for (int l = 0; l < W; l++) running += refill(l);
    while (running) {
      for (int l = 0; l < W; l++)
        if (active[l]) fetch(l);
      vec end[N];
      restep_push(t, y, h, p, q, r, d, dp, dq, dr, end);
      for (int l = 0; l < W; l++)
        if (active[l] && arrived(l)) running -= !refill(l);
    }
  }

  bool refill(int l) {
    for (;;) {
      const int64_t place = next++;
      active[l] = false;
      h[l] = 0.0;
      for (int i = 0; i < N; i++) d[i][l] = 0.0;
      if (place >= int64_t(order.size())) return false;
      id[l] = order[place];
      const Track &k = paths[id[l]];
      if (k.status != OK || k.steps == 0) continue;
      active[l] = true;
      step[l] = look[l] = 0;
      load(P.p, K, P.B, id[l], l, p);
      load(T.p, K, P.B, id[l], l, dp);
      load(T.y0, N, P.B, id[l], l, d);
      enter(l, 0);
      return true;
    }
  }

  void enter(int l, int32_t segment) {
    const int64_t b = id[l], B = P.B;
    const Track &k = paths[b];
    e[l] = segment;
    stop[l] = segment == k.last ? k.steps : k.first[segment + 1];
    for (int i = 0; i < N; i++) {
      if (segment > 0) d[i][l] += k.slopes[segment - 1].end[i] * T.edge(segment, b);
      d[i][l] = d[i][l] * P.kept(segment, b) + T.y0[i * B + b] * P.reset[segment * B + b] + T.jump[P.table(segment, i, b)];
      d[i][l] -= k.slopes[segment].begin[i] * T.edge(segment, b);
    }
    load_rates(P, b, segment, l, q, r);
    load_rates(T, b, segment, l, dq, dr);
  }

  inline void fetch(int l) {
    const Track &k = paths[id[l]];
    for (; look[l] < P.M && k.looks[look[l]].step == step[l]; look[l]++)
      for (int i = 0; i < N; i++) paths.look(id[l], look[l])[i] = d[i][l];
    const double *from = k.rows.data() + step[l] * ROW;
    for (int i = 0; i < N; i++) y[i][l] = from[i];
    t[l] = from[N];
    h[l] = from[N + 1];
  }

  inline bool arrived(int l) {
    if (++step[l] < stop[l]) return false;
    if (e[l] == paths[id[l]].last) return true;
    enter(l, e[l] + 1);
    return false;
  }
};

static void push_looks(const Problem &P, const Problem &T, Paths &paths, int64_t base, int64_t stop, std::atomic<int64_t> &next, double *out) {
  each_look(paths, base, stop, next, [&](const int64_t *b, const bool *live) {
    Glance g(P, b);
    vec dp[K1], dq[J1], dr[N];
    for (int i = 0; i < K1; i++) dp[i] = all(0.0);
    for (int i = 0; i < J1; i++) dq[i] = all(0.0);
    for (int i = 0; i < N; i++) dr[i] = all(0.0);
    for (int l = 0; l < W; l++) load(T.p, K, P.B, b[l], l, dp);
    for (int64_t s = 0; s < P.M; s++) {
      g.at(P, paths, b, live, s, [](int, int32_t) {});
      vec d[N], end[N], f[N], moved = all(0.0);
      for (int i = 0; i < N; i++) d[i] = all(0.0);
      for (int l = 0; l < W; l++) {
        const Look *k = g.look[l];
        if (!k) continue;
        load_rates(T, b[l], k->e, l, dq, dr);
        for (int i = 0; i < N; i++) d[i][l] = paths.look(b[l], s)[i];
        moved[l] = k->side == 0 ? T.times[k->m * P.B + b[l]] : T.edge(k->e + (k->side > 0), b[l]);
      }
      restep_push(g.t, g.y, g.h, g.p, g.q, g.r, d, dp, dq, dr, end);
      rates(g.t + g.h, end, g.p, g.q, g.r, f);
      for (int l = 0; l < W; l++)
        if (g.look[l])
          for (int i = 0; i < N; i++) out[P.table(g.look[l]->m, i, b[l])] = d[i][l] + f[i][l] * moved[l];
    }
  });
}
