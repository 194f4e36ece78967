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

// W looks of one subject at once, each with what its step starts from; a lane without one stands still.
struct Glance {
  const Problem &P;
  const Track &track;
  const int64_t b;
  vec p[K1], q[J1], r[N], y[N], t, h;
  int32_t e[W];
  const Look *look[W];
  Glance(const Problem &P, const Track &track, int64_t b) : P(P), track(track), b(b) {
    for (int i = 0; i < K1; i++) p[i] = all(i < K ? P.p[i * P.B + b] : 1.0);
    for (int i = 0; i < J1; i++) q[i] = all(1.0);
    for (int i = 0; i < N; i++) y[i] = r[i] = all(0.0);
    t = h = all(0.0);
    for (int l = 0; l < W; l++) e[l] = -1;
  }
  // Looks number first .. first + W - 1, in order of time.
  void at(int64_t first) {
    for (int l = 0; l < W; l++) {
      look[l] = first + l < P.M ? &track.looks[first + l] : nullptr;
      const Look *from = look[l] ? look[l] : &track.looks[first];  // elsewhere rates and their slopes may not be finite
      if (from->e != e[l]) load_rates(P, b, e[l] = from->e, l, q, r);
      t[l] = from->start;
      h[l] = look[l] ? from->time - from->start : 0.0;
      for (int i = 0; i < N; i++) y[i][l] = from->y[i];
    }
  }
};

static void read_looks(const Problem &P, const Track &track, int64_t b, double *out) {
  Glance g(P, track, b);
  for (int64_t first = 0; first < P.M; first += W) {
    vec end[N];
    g.at(first);
    restep(g.t, g.y, g.h, g.p, g.q, g.r, end);
    for (int l = 0; l < W; l++)
      if (g.look[l])
        for (int i = 0; i < N; i++) out[P.table(g.look[l]->m, i, b)] = end[i][l];
  }
}

// Adjoint of the re-steps: what each look asks of the state its step starts from goes to asked[M * N].
static void pull_looks(const Problem &P, const Track &track, int64_t b, const Gradient &G, double *asked) {
  Glance g(P, track, b);
  vec gp[K1], gq[J1], gr[N];
  for (int i = 0; i < K1; i++) gp[i] = all(0.0);
  for (int i = 0; i < J1; i++) gq[i] = all(0.0);
  for (int i = 0; i < N; i++) gr[i] = all(0.0);
  for (int64_t first = 0; first < P.M; first += W) {
    vec w[N], end[N], f[N], moved = all(0.0);
    g.at(first);
    for (int i = 0; i < N; i++) {
      w[i] = all(0.0);
      for (int l = 0; l < W; l++)
        if (g.look[l]) w[i][l] = G.weight[P.table(g.look[l]->m, i, b)];
    }
    restep(g.t, g.y, g.h, g.p, g.q, g.r, end);
    rates(g.t + g.h, end, g.p, g.q, g.r, f);
    for (int i = 0; i < N; i++) moved += f[i] * w[i];
    restep_pull(g.t, g.y, g.h, g.p, g.q, g.r, w, gp, gq, gr);
    for (int l = 0; l < W; l++) {
      const Look *k = g.look[l];
      if (!k) continue;
      for (int i = 0; i < N; i++) asked[(first + l) * N + i] = w[i][l];
      (k->side == 0 ? G.times[k->m * P.B + b] : G.edges[(k->e + (k->side > 0)) * P.B + b]) += moved[l];
      flush(P, G, b, k->e, l, gq, gr);
    }
  }
  for (int i = 0; i < K; i++)
    for (int l = 0; l < W; l++) G.p[i * P.B + b] += gp[i][l];
}

// The tangent of each look from those of the states their steps start from, asked[M * N].
static void push_looks(const Problem &P, const Problem &T, const Track &track, int64_t b, const double *asked, double *out) {
  Glance g(P, track, b);
  vec dp[K1], dq[J1], dr[N];
  for (int i = 0; i < K1; i++) dp[i] = all(i < K ? T.p[i * P.B + b] : 0.0);
  for (int i = 0; i < J1; i++) dq[i] = all(0.0);
  for (int i = 0; i < N; i++) dr[i] = all(0.0);
  for (int64_t first = 0; first < P.M; first += W) {
    vec d[N], end[N], f[N], moved = all(0.0);
    g.at(first);
    for (int i = 0; i < N; i++) d[i] = all(0.0);
    for (int l = 0; l < W; l++) {
      const Look *k = g.look[l];
      if (!k) continue;
      load_rates(T, b, k->e, l, dq, dr);
      for (int i = 0; i < N; i++) d[i][l] = asked[(first + l) * N + i];
      moved[l] = k->side == 0 ? T.times[k->m * P.B + b] : T.edge(k->e + (k->side > 0), b);
    }
    restep_push(g.t, g.y, g.h, g.p, g.q, g.r, d, dp, dq, dr, end);
    rates(g.t + g.h, end, g.p, g.q, g.r, f);
    for (int l = 0; l < W; l++)
      if (g.look[l])
        for (int i = 0; i < N; i++) out[P.table(g.look[l]->m, i, b)] = d[i][l] + f[i][l] * moved[l];
  }
}

// Back over the recorded steps, longest paths first, a free lane taking the next subject; `paths(b)` is the track of subject b.
template <class Paths>
struct Back {
  const Problem &P;
  Paths paths;
  Queue &queue;
  const Gradient &G;
  std::vector<double> asked[W];
  const Track *track[W];
  vec w[N], y[N], t, h, p[K1], q[J1], r[N], gp[K1], gq[J1], gr[N];
  const double *row[W];
  int64_t id[W], step[W], look[W], first[W], ask[W];
  int32_t e[W];
  bool active[W];

  Back(const Problem &P, Paths paths, Queue &queue, const Gradient &G) : P(P), paths(paths), queue(queue), G(G) {
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
      active[l] = false;
      h[l] = 0.0;
      for (int i = 0; i < N; i++) w[i][l] = 0.0;
      id[l] = queue.take();
      if (id[l] < 0) return false;
      track[l] = paths(id[l]);
      const Track &k = *track[l];
      if (k.status != OK) { fail(P, id[l], G); continue; }
      if (k.steps == 0) continue;
      asked[l].resize(P.M * N);
      pull_looks(P, k, id[l], G, asked[l].data());
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
    const double *from = track[l]->rows.data() + step[l] * ROW;
    for (int i = 0; i < N; i++) y[i][l] = from[i];
    t[l] = from[N];
    h[l] = from[N + 1];
  }

  // True where the lane's subject is done.
  inline bool arrived(int l) {
    if (step[l] == ask[l]) answer(l);
    if (step[l]-- > first[l]) return false;
    return entered(l);
  }

  void answer(int l) {
    const Track &k = *track[l];
    for (; look[l] >= 0 && k.looks[look[l]].step == step[l]; look[l]--)
      for (int i = 0; i < N; i++) w[i][l] += asked[l][look[l] * N + i];
    ask[l] = look[l] >= 0 ? k.looks[look[l]].step : -1;
  }

  // The start of a segment, backwards: jump, reset, the slopes on both sides of the edge.
  bool entered(int l) {
    const int64_t b = id[l], B = P.B, s = e[l];
    const Track &k = *track[l];
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

// Forward over the recorded steps with a tangent, then to the looks.
template <class Paths>
struct Push {
  const Problem &P, &T;
  Paths paths;
  Queue &queue;
  double *out;
  std::vector<double> asked[W];
  const Track *track[W];
  vec d[N], y[N], t, h, p[K1], q[J1], r[N], dp[K1], dq[J1], dr[N];
  int64_t id[W], step[W], look[W], stop[W];
  int32_t e[W];
  bool active[W];

  Push(const Problem &P, const Problem &T, Paths paths, Queue &queue, double *out) : P(P), T(T), paths(paths), queue(queue), out(out) {
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
        if (active[l] && arrived(l)) {
          push_looks(P, T, *track[l], id[l], asked[l].data(), out);
          running -= !refill(l);
        }
    }
  }

  bool refill(int l) {
    for (;;) {
      active[l] = false;
      h[l] = 0.0;
      for (int i = 0; i < N; i++) d[i][l] = 0.0;
      id[l] = queue.take();
      if (id[l] < 0) return false;
      track[l] = paths(id[l]);
      const Track &k = *track[l];
      if (k.status != OK)
        for (int64_t i = 0; i < P.M * N; i++) out[i * P.B + id[l]] = NAN;
      if (k.status != OK || k.steps == 0) continue;
      asked[l].resize(P.M * N);
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
    const Track &k = *track[l];
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
    const Track &k = *track[l];
    for (; look[l] < P.M && k.looks[look[l]].step == step[l]; look[l]++)
      for (int i = 0; i < N; i++) asked[l][look[l] * N + i] = d[i][l];
    const double *from = k.rows.data() + step[l] * ROW;
    for (int i = 0; i < N; i++) y[i][l] = from[i];
    t[l] = from[N];
    h[l] = from[N + 1];
  }

  inline bool arrived(int l) {
    if (++step[l] < stop[l]) return false;
    if (e[l] == track[l]->last) return true;
    enter(l, e[l] + 1);
    return false;
  }
};
