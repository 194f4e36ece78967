// Tsitouras' 5(4) pair: Tsitouras, Computers & Mathematics with Applications 62 (2011) 770; its first stage is the last of the step before.
constexpr int S = 6, ORDER = 5;
static const double A[6][6] = {
    {0},
    {0.161},
    {-0.008480655492356989, 0.335480655492357},
    {2.8971530571054935, -6.359448489975075, 4.3622954328695815},
    {5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525},
    {5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383}};
static const double B[6] = {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774};
static const double C[6] = {0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0};
static const double D[7] = {0.0017800110522257773, 0.0008164344596567463, -0.007880878010261994, 0.1447110071732629,
                            -0.5823571654525552, 0.45808210592918686, -0.015151515151515152};

// z = y + h sum_{j<s} A[s][j] k_j
static inline void stage(const vec *y, const vec h, const vec k[][N], const int s, vec *z) {
  for (int i = 0; i < N; i++) {
    vec sum = all(A[s][0]) * k[0][i];
    for (int j = 1; j < s; j++) sum += all(A[s][j]) * k[j][i];
    z[i] = y[i] + h * sum;
  }
}

// Stages after the first, and the end of the step; k[0] is given.
static inline void advance(const vec t, const vec *y, const vec h, const vec *p, const vec *q, const vec *r, vec k[][N], vec *end) {
#pragma GCC unroll 6
  for (int s = 1; s < S; s++) {
    vec z[N];
    stage(y, h, k, s, z);
    rates(t + all(C[s]) * h, z, p, q, r, k[s]);
  }
  for (int i = 0; i < N; i++) {
    vec sum = all(B[0]) * k[0][i];
    for (int j = 1; j < S; j++) sum += all(B[j]) * k[j][i];
    end[i] = y[i] + h * sum;
  }
}

// One trial: the end, the slope there, and the estimated error.
static inline void attempt(const vec t, const vec *y, const vec *slope, const vec h, const vec *p, const vec *q, const vec *r,
                           vec *end, vec *end_slope, vec *error) {
  vec k[S][N];
  for (int i = 0; i < N; i++) k[0][i] = slope[i];
  advance(t, y, h, p, q, r, k, end);
  rates(t + h, end, p, q, r, end_slope);
  for (int i = 0; i < N; i++) {
    vec sum = all(D[6]) * end_slope[i];
    for (int j = 0; j < S; j++) sum += all(D[j]) * k[j][i];
    error[i] = h * sum;
  }
}

static inline void restep(const vec t, const vec *y, const vec h, const vec *p, const vec *q, const vec *r, vec *end) {
  vec k[S][N];
  rates(t, y, p, q, r, k[0]);
  advance(t, y, h, p, q, r, k, end);
}

// w (of the end) becomes w of the start; with kappa_s = B_s w + sum_{j>s} A_js g_j and g_s = (h kappa_s) f_y(z_s), w grows by every g_s.
static inline void restep_pull(const vec t, const vec *y, const vec h, const vec *p, const vec *q, const vec *r, vec *w, vec *gp,
                               vec *gq, vec *gr) {
  vec k[S][N], z[S][N];
  for (int i = 0; i < N; i++) z[0][i] = y[i];
#pragma GCC unroll 6
  for (int s = 0; s < S; s++) {
    if (s) stage(y, h, k, s, z[s]);
    if (s < S - 1) rates(t + all(C[s]) * h, z[s], p, q, r, k[s]);
  }
  vec kappa[S][N];
  for (int s = 0; s < S; s++)
    for (int i = 0; i < N; i++) kappa[s][i] = all(B[s]) * w[i];
#pragma GCC unroll 6
  for (int s = S - 1; s >= 0; s--) {
    vec c[N], g[N];
    for (int i = 0; i < N; i++) c[i] = h * kappa[s][i];
    rates_pull(t + all(C[s]) * h, z[s], p, q, r, c, g, gp, gq, gr);
    for (int i = 0; i < N; i++) {
      w[i] += g[i];
      for (int j = 0; j < s; j++) kappa[j][i] += all(A[s][j]) * g[i];
    }
  }
}

// d (of the start) becomes d of the end; `end` is the end itself.
static inline void restep_push(const vec t, const vec *y, const vec h, const vec *p, const vec *q, const vec *r, vec *d, const vec *dp,
                               const vec *dq, const vec *dr, vec *end) {
  vec k[S][N], dk[S][N];
#pragma GCC unroll 6
  for (int s = 0; s < S; s++) {
    vec z[N], dz[N];
    stage(y, h, k, s, z);
    stage(d, h, dk, s, dz);
    rates_push(t + all(C[s]) * h, s ? z : y, p, q, r, s ? dz : d, dp, dq, dr, k[s], dk[s]);
  }
  for (int i = 0; i < N; i++) {
    vec sum = all(B[0]) * k[0][i], slope = all(B[0]) * dk[0][i];
    for (int j = 1; j < S; j++) {
      sum += all(B[j]) * k[j][i];
      slope += all(B[j]) * dk[j][i];
    }
    end[i] = y[i] + h * sum;
    d[i] += h * slope;
  }
}
