// RODAS, a stiffly accurate Rosenbrock method of order 4(3): Hairer & Wanner, Solving ODEs II, IV.7, in the form without products J u:
//   (I/(gamma h) - J) u_i = f(t + alpha_i h, y + sum A_ij u_j) + sum C_ij u_j / h + gamma_i h f_t,  end = y + sum A_6j u_j + u_6,  error = u_6
constexpr int S = 6, ORDER = 4;
static const double A[6][6] = {{0},
                               {1.544},
                               {0.9466785280815826, 0.2557011698983284},
                               {3.314825187068521, 2.896124015972201, 0.9986419139977817},
                               {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.687886036105895},
                               {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.687886036105895, 1.0}};
static const double C[6][6] = {{0},
                               {-5.6688},
                               {-2.430093356833875, -0.2063599157091915},
                               {-0.1073529058151375, -9.594562251023355, -20.47028614809616},
                               {7.496443313967647, -10.24680431464352, -33.99990352819905, 11.7089089320616},
                               {8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054}};
static const double ALPHA[6] = {0.0, 0.386, 0.21, 0.63, 1.0, 1.0}, GAMMA[6] = {0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0};

// I/(gamma h) - J, eliminated without exchanges: where h is too long for that, the estimated error says so.
struct Factors {
  vec w[ENTRIES], ft[N];
  void make(const vec t, const vec *y, const vec h, const vec *p, const vec *q, const vec *r) {
    rates_matrix(t, y, p, q, r, all(4.0) / h, w, ft);
    eliminate(w);
  }
  void solve(vec *x) const { substitute(w, x); }
  void solve_transposed(vec *x) const { substitute_transposed(w, x); }
};

// A lane that stands still (h = 0) is given a length so short that no stage leaves where the rates are defined, and its result is thrown away.
static inline vec moving(const vec h) { return choose((mask)(h == all(0.0)), all(1e-6), h); }
static inline vec moved(const vec h) { return choose((mask)(h == all(0.0)), all(0.0), all(1.0)); }

static inline void add(const vec scale, const vec *x, vec *to) {
#pragma GCC unroll 8
  for (int i = 0; i < N; i++) to[i] += scale * x[i];
}
static inline void argument(const vec *y, const vec u[][N], const int s, vec *z) {
  for (int i = 0; i < N; i++) z[i] = y[i];
  for (int j = 0; j < s; j++) add(all(A[s][j]), u[j], z);
}

// Every u; `h` is not zero.
static inline void stages(const Factors &F, const vec t, const vec *y, const vec *slope, const vec h, const vec *p, const vec *q,
                          const vec *r, vec u[][N]) {
  const vec per = all(1.0) / h;
#pragma GCC unroll 1
  for (int s = 0; s < S; s++) {
    vec z[N];
    argument(y, u, s, z);
    if (s == 0)
      for (int i = 0; i < N; i++) u[0][i] = slope[i];
    else
      rates(t + all(ALPHA[s]) * h, z, p, q, r, u[s]);
    add(all(GAMMA[s]) * h, F.ft, u[s]);
    for (int j = 0; j < s; j++) add(all(C[s][j]) * per, u[j], u[s]);
    F.solve(u[s]);
  }
}

static inline void finish(const vec *y, const vec u[][N], const vec h, vec *end) {
  argument(y, u, S - 1, end);
  for (int i = 0; i < N; i++) end[i] = choose((mask)(h == all(0.0)), y[i], end[i] + u[S - 1][i]);
}

static inline void attempt(const vec t, const vec *y, const vec *slope, const vec h, const vec *p, const vec *q, const vec *r,
                           vec *end, vec *end_slope, vec *error) {
  Factors F;
  vec u[S][N];
  F.make(t, y, moving(h), p, q, r);
  stages(F, t, y, slope, moving(h), p, q, r, u);
  finish(y, u, h, end);
  rates(t + h, end, p, q, r, end_slope);
  for (int i = 0; i < N; i++) error[i] = choose((mask)(h == all(0.0)), all(0.0), u[S - 1][i]);
}

static inline void restep(const vec t, const vec *y, const vec h, const vec *p, const vec *q, const vec *r, vec *end) {
  Factors F;
  vec u[S][N], slope[N];
  rates(t, y, p, q, r, slope);
  F.make(t, y, moving(h), p, q, r);
  stages(F, t, y, slope, moving(h), p, q, r, u);
  finish(y, u, h, end);
}

// w (of the end) becomes w of the start. With v_i = W^-T (adjoint of u_i): w += v_i f_y(z_i) + grad_y v_i (J u_i + gamma_i h f_t); the last of these for all
// stages at once, since J and f_t are those of the start: the gradient of sum_kl m_kl J_kl + mt f_t, m = sum_i v_i u_i', mt = sum_i gamma_i h v_i.
static inline void restep_pull(const vec t, const vec *y, const vec still, const vec *p, const vec *q, const vec *r, vec *w, vec *gp,
                               vec *gq, vec *gr) {
  const vec h = moving(still), per = all(1.0) / h, on = moved(still);
  Factors F;
  vec u[S][N], ub[S][N], slope[N], m[PAIRS], mt[N];
  for (auto &x : m) x = all(0.0);
  for (auto &x : mt) x = all(0.0);
  rates(t, y, p, q, r, slope);
  F.make(t, y, h, p, q, r);
  stages(F, t, y, slope, h, p, q, r, u);
  for (int i = 0; i < N; i++) {
    for (int s = 0; s < S - 1; s++) ub[s][i] = all(A[S - 1][s]) * (on * w[i]);
    ub[S - 1][i] = on * w[i];
  }
#pragma GCC unroll 1
  for (int s = S - 1; s >= 0; s--) {
    vec z[N], g[N];
    argument(y, u, s, z);
    F.solve_transposed(ub[s]);
    rates_pull(t + all(ALPHA[s]) * h, z, p, q, r, ub[s], g, gp, gq, gr);
    add(all(1.0), g, w);
    add(all(GAMMA[s]) * h, ub[s], mt);
    for (int j = 0; j < s; j++) {
      add(all(A[s][j]), g, ub[j]);
      add(all(C[s][j]) * per, ub[s], ub[j]);
    }
    weigh_pairs(ub[s], u[s], m);
  }
  rates_bend_pull(t, y, p, q, r, m, mt, w, gp, gq, gr);
}

// d (of the start) becomes d of the end.
static inline void restep_push(const vec t, const vec *y, const vec still, const vec *p, const vec *q, const vec *r, vec *d,
                               const vec *dp, const vec *dq, const vec *dr, vec *end) {
  const vec h = moving(still), per = all(1.0) / h;
  Factors F;
  vec u[S][N], du[S][N], slope[N];
  rates(t, y, p, q, r, slope);
  F.make(t, y, h, p, q, r);
  stages(F, t, y, slope, h, p, q, r, u);
#pragma GCC unroll 1
  for (int s = 0; s < S; s++) {
    vec z[N], dz[N], f[N], bend[N];
    argument(y, u, s, z);
    argument(d, du, s, dz);
    rates_push(t + all(ALPHA[s]) * h, z, p, q, r, dz, dp, dq, dr, f, du[s]);
    rates_bend_push(t, y, p, q, r, u[s], all(GAMMA[s]) * h, d, dp, dq, dr, bend);
    add(all(1.0), bend, du[s]);
    for (int j = 0; j < s; j++) add(all(C[s][j]) * per, du[j], du[s]);
    F.solve(du[s]);
  }
  vec moved_end[N];
  finish(y, u, still, end);
  finish(d, du, still, moved_end);
  for (int i = 0; i < N; i++) d[i] = moved_end[i];
}
