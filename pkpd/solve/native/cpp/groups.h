// W neighbouring subjects at once through their segments and looks: values, adjoint, tangent.
struct Group {
  const Problem &P;
  int64_t b[W];
  int from;          // lanes below it are another group's: the last group begins early enough to be read in one piece
  bool wide, whole;  // all lanes side by side in memory, and all of them its own
  int64_t last = 0;  // the last segment in which any of them is looked at
  std::vector<int32_t> &common;  // the segment of each look where all lanes share it, else -1

  Group(const Problem &P, int64_t first, std::vector<int32_t> &spare) : P(P), wide(P.B >= W), common(spare) {
    const int64_t start = wide ? std::min(first, P.B - W) : first;
    from = int(first - start);
    whole = wide && from == 0;
    for (int l = 0; l < W; l++) b[l] = std::min(start + l, P.B - 1);
    common.resize(P.M);
    for (int64_t m = 0; m < P.M; m++) {
      const int64_t e = at(m, 0);
      last = std::max(last, e);
      common[m] = wide && alike(P.segment + m * P.B + b[0]) ? int32_t(e) : shared(m, e);
    }
  }
  static bool alike(const int32_t *x) {
    typedef int32_t ints __attribute__((vector_size(4 * W)));
    ints given, other;
    std::memcpy(&given, x, sizeof given);
    for (int l = 0; l < W; l++) other[l] = x[0];
    given ^= other;
    uint64_t apart = 0, part[sizeof given / 8];
    std::memcpy(part, &given, sizeof given);
    for (const uint64_t x : part) apart |= x;
    return apart == 0;
  }
  int32_t shared(int64_t m, int64_t e) {
    bool same = true;
    for (int l = 1; l < W; l++) {
      const int64_t other = at(m, l);
      same &= other == e;
      last = std::max(last, other);
    }
    return same ? int32_t(e) : -1;
  }
  bool own(int l) const { return l >= from && (l == 0 || b[l] != b[l - 1]); }
  int64_t at(int64_t m, int l) const { return std::min<int64_t>(std::max<int64_t>(P.segment[m * P.B + b[l]], 0), P.E - 1); }
  vec row(const double *given, int64_t row) const {
    vec x;
    if (wide) std::memcpy(&x, given + row * P.B + b[0], sizeof x);
    else for (int l = 0; l < W; l++) x[l] = given[row * P.B + b[l]];
    return x;
  }
  void add(double *to, int64_t row, const vec x) const {
    if (whole) return put(to, row, this->row(to, row) + x);
    for (int l = 0; l < W; l++)
      if (own(l)) to[row * P.B + b[l]] += x[l];
  }
  void put(double *to, int64_t row, const vec x) const {
    if (whole) { std::memcpy(to + row * P.B + b[0], &x, sizeof x); return; }
    for (int l = 0; l < W; l++)
      if (own(l)) to[row * P.B + b[l]] = x[l];
  }
  void rows(const double *given, int count, int64_t first, int64_t step, vec *x) const {
    for (int i = 0; i < count; i++) x[i] = row(given, first + i * step);
  }
  // Time since the start of its segment; a look before it is read at its start.
  vec since(int64_t m, mask &before) const {
    vec x;
    if (common[m] >= 0) x = row(P.times, m) - row(P.edges, common[m]);
    else for (int l = 0; l < W; l++) x[l] = P.times[m * P.B + b[l]] - P.edge(at(m, l), b[l]);
    before = (mask)(x < all(0.0));
    return choose(before, all(0.0), x);
  }
  // Whether anything flows in, for any of them, at any time.
  bool driven(const double *rate) const {
    for (int64_t e = 0; e <= last; e++)
      for (int i = 0; i < N; i++)
        if (bits(~(mask)(row(rate, e * N + i) == all(0.0)))) return true;
    return false;
  }
};

template <int X>
struct Course {
  typedef Stretch<X> Leg;
  const Group &g;
  const Problem &P;
  std::vector<Law<X>> &laws;
  std::vector<Leg> &legs;
  vec p[K1];

  Course(const Group &g, std::vector<Law<X>> &laws, std::vector<Leg> &legs) : g(g), P(g.P), laws(laws), legs(legs) {
    laws.resize(J ? g.last + 1 : 1);
    legs.resize(g.last + 1);
    g.rows(P.p, K, 0, 1, p);
  }
  void covariates(int64_t e, vec *q) const { g.rows(P.q, J, e, P.E, q); }
  vec length(int64_t e) const { return g.row(P.edges, e + 1) - g.row(P.edges, e); }
  vec kept(int64_t e) const { return all(1.0) - g.row(P.reset, e) - g.row(P.clear, e); }

  // Every segment's law and chain.
  void walk() {
    vec y[N], y0[N];
    g.rows(P.y0, N, 0, 1, y0);
    for (int i = 0; i < N; i++) y[i] = y0[i];
    for (int64_t e = 0; e <= g.last; e++) {
      Leg &leg = legs[e];
      if (J || e == 0) { vec q[J1]; covariates(e, q); laws[J ? e : 0].make(p, q); }
      leg.law = &laws[J ? e : 0];
      const vec stays = kept(e), back = g.row(P.reset, e);
      for (int i = 0; i < N; i++) {
        y[i] = y[i] * stays + y0[i] * back + g.row(P.jump, e * N + i);
        leg.u[i] = g.row(P.rate, e * N + i) + leg.law->c[i];
      }
      leg.chain(y);
      if (e == g.last) break;
      vec c[X];
      differences<X>(leg.law->nodes, length(e), c);
      leg.end(c, y);
    }
  }
  // The leg of look m: that of all lanes, or one put together from each lane's own.
  const Leg &leg_of(int64_t m, Leg &mixed, Law<X> &law) const {
    const int64_t e = g.common[m];
    if (e >= 0) return legs[e];
    mixed.law = &laws[0];
    if (J) mixed.law = &law;
    for (int l = 0; l < W; l++) {
      const Leg &own = legs[g.at(m, l)];
      auto take = [l](vec *to, const vec *from, int count) { for (int i = 0; i < count; i++) to[i][l] = from[i][l]; };
      take(mixed.u, own.u, N);
      take(mixed.s, own.s, X);
      take(mixed.w[0], own.w[0], X * N);
      if (J) { take(law.m, own.law->m, ENTRIES); take(law.nodes.x, own.law->nodes.x, X); take(law.nodes.per[0], own.law->nodes.per[0], X * X); take(&law.nodes.least, &own.law->nodes.least, 1); }
    }
    return mixed;
  }
};

template <int X>
static void values(const Group &g, double *out) {
  static thread_local std::vector<Law<X>> laws;
  static thread_local std::vector<Stretch<X>> legs;
  Course<X> course(g, laws, legs);
  course.walk();
  Stretch<X> mixed;
  Law<X> law;
  for (int64_t m = 0; m < g.P.M; m++) {
    const auto &leg = course.leg_of(m, mixed, law);
    vec c[X], y[N];
    mask before;
    differences<X>(leg.law->nodes, g.since(m, before), c);
    leg.end(c, y);
    for (int i = 0; i < N; i++) g.put(out, m * N + i, y[i]);
  }
}

// `weight` [M, N, B] to every argument; per segment, what its looks and its end ask of it is summed first and sent back through the chains once.
template <int X>
struct Adjoint {
  static constexpr int D = X * (X + 1) / 2;
  typedef Stretch<X> Leg;
  struct Asked {
    vec start[X][N], slope[D][N];  // sums of c_k g and of d_ij g over what asks with g
    void clear() {
      for (auto &row : start) for (auto &x : row) x = all(0.0);
      for (auto &row : slope) for (auto &x : row) x = all(0.0);
    }
    void add(const vec *c, const vec *d, const vec *g) {
      for (int k = 0; k < X; k++) for (int i = 0; i < N; i++) start[k][i] += c[k] * g[i];
      for (int k = 0; k < D; k++) for (int i = 0; i < N; i++) slope[k][i] += d[k] * g[i];
    }
    void add(int l, const vec *c, const vec *d, const vec *g) {
      for (int k = 0; k < X; k++) for (int i = 0; i < N; i++) start[k][i][l] += c[k][l] * g[i][l];
      for (int k = 0; k < D; k++) for (int i = 0; i < N; i++) slope[k][i][l] += d[k][l] * g[i][l];
    }
  };
  const Group &g;
  const Problem &P;
  const Gradient &G;
  const bool moving = P.asked & 1 || P.asked >> 6 & 1;  // somebody wants slopes in the edges of segments or the times of looks

  void run() {
    static thread_local std::vector<Law<X>> laws;
    static thread_local std::vector<Leg> legs;
    static thread_local std::vector<Asked> asked;
    Course<X> course(g, laws, legs);
    course.walk();
    asked.resize(g.last + 1);
    for (int64_t e = 0; e <= g.last; e++) asked[e].clear();
    looks(course, asked);
    back(course, asked);
  }

  // What y(tau) = `end` asks for with weights w; returns the slope in tau.
  vec end(const Leg &leg, const vec tau, const vec *w, vec *c, vec *d) const {
    vec y[N], f[N], moved = all(0.0);
    differences<X>(leg.law->nodes, tau, c, d);
    if (!moving) return moved;
    leg.end(c, y);
    leg.slope(y, f);
    for (int i = 0; i < N; i++) moved += w[i] * f[i];
    return moved;
  }

  void looks(const Course<X> &course, std::vector<Asked> &asked) {
    Leg mixed;
    Law<X> law;
    for (int64_t m = 0; m < P.M; m++) {
      vec c[X], d[D], w[N];
      mask before;
      g.rows(G.weight, N, m * N, 1, w);
      const vec tau = g.since(m, before);
      const vec moved = choose(before, all(0.0), end(course.leg_of(m, mixed, law), tau, w, c, d));
      if (moving) g.put(G.times, m, moved);
      const int64_t e = g.common[m];
      if (e >= 0) {
        asked[e].add(c, d, w);
        if (moving) g.add(G.edges, e, -moved);
        continue;
      }
      for (int l = 0; l < W; l++) {
        if (!g.own(l)) continue;
        asked[g.at(m, l)].add(l, c, d, w);
        if (moving) G.edges[g.at(m, l) * P.B + g.b[l]] -= moved[l];
      }
    }
  }

  void back(const Course<X> &course, std::vector<Asked> &asked) {
    vec lam[N], gm[ENTRIES], gc[N], gp[K1], gq[J1];
    for (auto &x : gm) x = all(0.0);
    for (auto &x : gc) x = all(0.0);
    for (auto &x : gp) x = all(0.0);
    for (int64_t e = g.last; e >= 0; e--) {
      const Leg &leg = course.legs[e];
      if (e < g.last) arrive(course, leg, e, lam, asked[e]);
      vec gu[N];
      for (auto &x : gu) x = all(0.0);
      through(leg, asked[e], lam, gm, gu);
      for (int i = 0; i < N; i++) {
        g.add(G.rate, e * N + i, gu[i]);
        gc[i] += gu[i];
        g.add(G.jump, e * N + i, lam[i]);
        g.add(G.y0, i, lam[i] * (g.row(P.reset, e) + (e == 0 ? course.kept(0) : all(0.0))));
      }
      if (!J && e) continue;
      vec q[J1];
      course.covariates(e, q);
      for (auto &x : gq) x = all(0.0);
      matrix_pull(course.p, q, gm, gc, gp, gq);
      for (int j = 0; j < J; j++) g.add(G.q, j * P.E + e, gq[j]);
      for (auto &x : gm) x = all(0.0);
      for (auto &x : gc) x = all(0.0);
    }
    for (int i = 0; i < K; i++) g.add(G.p, i, gp[i]);
  }

  // From the start of the next segment to the end of this one.
  void arrive(const Course<X> &course, const Leg &leg, int64_t e, const vec *lam, Asked &asked) {
    vec c[X], d[D], w[N];
    for (int i = 0; i < N; i++) w[i] = lam[i] * course.kept(e + 1);
    const vec moved = end(leg, course.length(e), w, c, d);
    asked.add(c, d, w);
    if (!moving) return;
    g.add(G.edges, e + 1, moved);
    g.add(G.edges, e, -moved);
  }

  // lam = sum_k N_k' start_k, and to the matrix and the input, for each j, sum_i N_i' slope_ij times w_j.
  static void through(const Leg &leg, const Asked &asked, vec *lam, vec *gm, vec *gu) {
    horner(leg, lam, [&](int k) { return asked.start[k]; });
    for (int j = 0; j < X; j++) {
      vec left[N];
      horner(leg, left, [&](int i) { return asked.slope[i < j ? place(i, j) : place(j, i)]; });
      outer(left, leg.w[j], gm);
      for (int i = 0; i < N; i++) gu[i] += left[i] * leg.s[j];
    }
  }
  // sum_k N_k' of the rows.
  template <class Rows>
  static void horner(const Leg &leg, vec *sum, Rows rows) {
    for (int i = 0; i < N; i++) sum[i] = rows(X - 1)[i];
    for (int k = X - 2; k >= 0; k--) {
      vec moved[N];
      times_transposed(leg.law->m, sum, moved);
      for (int i = 0; i < N; i++) sum[i] = moved[i] - leg.law->nodes.x[k] * sum[i] + rows(k)[i];
    }
  }
};

// The tangent along T (the same shapes as P).
template <int X>
struct Tangent {
  static constexpr int D = X * (X + 1) / 2;
  typedef Stretch<X> Leg;
  struct Moved { vec start[X][N], slope[D][N]; };  // what c_k and d_ij are to be multiplied with
  const Group &g;
  const Problem &P, &T;

  void run(double *out) {
    static thread_local std::vector<Law<X>> laws;
    static thread_local std::vector<Leg> legs;
    static thread_local std::vector<Moved> moved;
    Course<X> course(g, laws, legs);
    course.walk();
    moved.resize(g.last + 1);
    starts(course, moved);
    Leg mixed;
    Law<X> law;
    for (int64_t m = 0; m < P.M; m++) {
      vec when;
      mask before;
      Moved own;
      const vec tau = g.since(m, before);
      for (int l = 0; l < W; l++) {
        const int64_t e = g.at(m, l), b = g.b[l];
        when[l] = before[l] ? 0.0 : T.times[m * P.B + b] - T.edge(e, b);
        for (int k = 0; k < X; k++) for (int i = 0; i < N; i++) own.start[k][i][l] = moved[e].start[k][i][l];
        for (int k = 0; k < D; k++) for (int i = 0; i < N; i++) own.slope[k][i][l] = moved[e].slope[k][i][l];
      }
      vec d[N];
      end(course.leg_of(m, mixed, law), own, tau, when, d);
      for (int i = 0; i < N; i++) g.put(out, m * N + i, d[i]);
    }
  }

  // The tangent at tau, which itself moves by `when`.
  static void end(const Leg &leg, const Moved &moved, const vec tau, const vec when, vec *out) {
    vec c[X], d[D], y[N], f[N];
    differences<X>(leg.law->nodes, tau, c, d);
    leg.end(c, y);
    leg.slope(y, f);
    for (int i = 0; i < N; i++) {
      out[i] = f[i] * when;
      for (int k = 0; k < X; k++) out[i] += c[k] * moved.start[k][i];
      for (int k = 0; k < D; k++) out[i] += d[k] * moved.slope[k][i];
    }
  }

  void starts(const Course<X> &course, std::vector<Moved> &moved) {
    vec d[N], d0[N], dp[K1], dm[ENTRIES], dc[N];
    g.rows(T.y0, N, 0, 1, d0);
    g.rows(T.p, K, 0, 1, dp);
    for (int i = 0; i < N; i++) d[i] = d0[i];
    for (int64_t e = 0; e <= g.last; e++) {
      const Leg &leg = course.legs[e];
      if (J || e == 0) {
        vec q[J1], dq[J1];
        course.covariates(e, q);
        g.rows(T.q, J, e, P.E, dq);
        matrix_push(course.p, q, dp, dq, dm, dc);
      }
      const vec stays = course.kept(e), back = g.row(P.reset, e);
      vec du[N];
      for (int i = 0; i < N; i++) {
        d[i] = d[i] * stays + d0[i] * back + g.row(T.jump, e * N + i);
        du[i] = g.row(T.rate, e * N + i) + dc[i];
      }
      chains(leg, d, dm, du, moved[e]);
      if (e < g.last) end(leg, moved[e], course.length(e), g.row(T.edges, e + 1) - g.row(T.edges, e), d);
    }
  }

  // start_k = N_k d; slope_ij = N_i E w_j + N_j E w_i.
  static void chains(const Leg &leg, const vec *d, const vec *dm, const vec *du, Moved &moved) {
    for (auto &row : moved.slope) for (auto &x : row) x = all(0.0);
    vec x[N];
    for (int i = 0; i < N; i++) x[i] = d[i];
    walk(leg, x, [&](int k) { for (int i = 0; i < N; i++) moved.start[k][i] = x[i]; });
    for (int j = 0; j < X; j++) {
      times(dm, leg.w[j], x);
      for (int i = 0; i < N; i++) x[i] += leg.s[j] * du[i];
      walk(leg, x, [&](int k) {
        vec *row = moved.slope[k < j ? place(k, j) : place(j, k)];
        for (int i = 0; i < N; i++) row[i] += x[i];
      });
    }
  }
  // `see(k)` with x = N_k x for k = 0 .. X-1.
  template <class See>
  static void walk(const Leg &leg, vec *x, See see) {
    see(0);
    for (int k = 0; k + 1 < X; k++) {
      vec moved[N];
      times(leg.law->m, x, moved);
      for (int i = 0; i < N; i++) x[i] = moved[i] - leg.law->nodes.x[k] * x[i];
      see(k + 1);
    }
  }
};
