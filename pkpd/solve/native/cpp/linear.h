// Linear systems y' = M y + u with real eigenvalues x_0 <= .. <= x_{X-1}, exactly: Newton's form of the exponential,
//   y(tau) = sum_k f[x_0..x_k] w_k,   f(x) = exp(tau x),   w_0 = y(0),   w_{k+1} = (M - x_k) w_k.
// A constant input makes it the same for one state more, a constant 1 whose eigenvalue is 0; `s` is that state's part of w.
// Derivatives need no derivative of an eigenvalue: exp(tau M) has in the direction E the slope sum_ij f[x_0..x_i, x_0..x_j] N_i E N_j, N_k = prod_{l<k} (M - x_l),
// Newton's form of f in two variables (Higham, Functions of Matrices, 2008, ch. 3), right where eigenvalues coincide too. In this order, the fastest first,
// nothing cancels.
constexpr double NEAR = 1.0;  // nodes this close (in units of 1/tau) take a series: beyond, a quotient loses at most a bit
constexpr int TERMS = 18;     // the first one left out is below 1e-16

template <int X>
struct Nodes {
  vec x[X], per[X][X], least;  // ascending, 1 / (x_j - x_i), and the smallest difference
  void put(const vec *values) {
    for (int i = 0; i < X; i++) x[i] = values[i];
    for (int last = X - 1; last > 0; last--)
      for (int i = 0; i < last; i++) {
        const mask swap = (mask)(x[i] > x[i + 1]);
        const vec low = choose(swap, x[i + 1], x[i]);
        x[i + 1] = choose(swap, x[i], x[i + 1]);
        x[i] = low;
      }
    least = all(INFINITY);
    for (int i = 0; i + 1 < X; i++) least = vmin(least, x[i + 1] - x[i]);
    for (int i = 0; i < X; i++)
      for (int j = i + 1; j < X; j++) per[i][j] = all(1.0) / (x[j] - x[i]);
  }
};

template <int SIZE>
struct Inverse {
  double factorial[SIZE];
  constexpr Inverse() : factorial() {
    double f = 1.0;
    for (int m = 0; m < SIZE; m++) { factorial[m] = 1.0 / f; f *= m + 1; }
  }
};

// f[x_a, x_a .., x_j] with x_a .. x_i twice (the first one only where `twice`) and the rest once, all near each other:
// tau^k exp(tau x_a) sum_m h_m(d_1..d_k) / (m + k)!, d the distances from x_a in units of 1/tau, h_m the complete homogeneous polynomials.
template <int X>
static __attribute__((noinline)) vec series(const Nodes<X> &nodes, const vec tau, const vec first, int a, int i, int j, bool twice) {
  static constexpr Inverse<TERMS + 2 * X> one_over{};
  vec h[TERMS], sum = all(0.0), power = first;
  int k = 0;
  h[0] = all(1.0);
  for (int m = 1; m < TERMS; m++) h[m] = all(0.0);
  if (twice) { power *= tau; k++; }
  for (int n = a + 1; n <= j; n++) {
    const vec d = tau * (nodes.x[n] - nodes.x[a]);
    for (int copy = 0; copy < (n <= i ? 2 : 1); copy++, k++) {
      power *= tau;
      for (int m = 1; m < TERMS; m++) h[m] += d * h[m - 1];
    }
  }
  for (int m = TERMS - 1; m >= 0; m--) sum += h[m] * all(one_over.factorial[m + k]);
  return power * sum;
}

// (f[without the least node] - f[without the largest]) / their difference, or the series.
template <int X, bool CLOSE>
static inline vec difference(const Nodes<X> &nodes, const vec tau, const vec upper, const vec lower, const vec first, int a, int i, int j, bool twice) {
  const vec quotient = (upper - lower) * nodes.per[a][j];
  if (!CLOSE) return quotient;
  const mask near = (mask)(tau * (nodes.x[j] - nodes.x[a]) < all(NEAR));
  return bits(near) ? choose(near, series<X>(nodes, tau, first, a, i, j, twice), quotient) : quotient;
}

// sum_m d^m / (m + 3)! for 0 <= d < 1; the first term left out is below 1e-18.
static inline vec phi3(const vec d) {
  static constexpr Inverse<21> one_over{};
  const vec s = d * d;
  vec even = all(one_over.factorial[19]), odd = all(one_over.factorial[20]);
  for (int m = 14; m >= 0; m -= 2) {
    even = even * s + all(one_over.factorial[m + 3]);
    odd = odd * s + all(one_over.factorial[m + 4]);
  }
  return even + d * odd;
}

// Two nodes, where they are near: f[x_0, x_1], f[x_0, x_0, x_1] and f[x_0, x_0, x_1, x_1] from one series, phi_k(d) = 1 / k! + d phi_{k+1}(d).
struct Near {
  mask near;
  vec f01, f001, f0011;
  Near(const Nodes<2> &nodes, const vec tau, const vec first) {
    const vec d = tau * (nodes.x[1] - nodes.x[0]), a = tau * first;
    near = (mask)(d < all(NEAR));
    if (!bits(near)) return;
    const vec three = phi3(choose(near, d, all(0.0))), two = all(0.5) + d * three;
    f01 = a + a * d * two;
    f001 = a * tau * two;
    f0011 = a * tau * tau * (two - three - three);
  }
};

// c_k = f[x_0..x_k].
template <int X, bool CLOSE>
static inline void once(const Nodes<X> &nodes, const vec tau, vec *c) {
  vec e[X], t[X];
  for (int i = 0; i < X; i++) t[i] = e[i] = vexp(tau * nodes.x[i]);
  c[0] = t[0];
#pragma GCC unroll 8
  for (int k = 1; k < X; k++) {
#pragma GCC unroll 8
    for (int a = 0; a < X - k; a++) t[a] = difference<X, CLOSE>(nodes, tau, t[a + 1], t[a], e[a], a, a, a + k, false);
    c[k] = t[0];
  }
}

// The same, and d_ij = f[x_0..x_i, x_0..x_j], i <= j, at `place(i, j)`.
constexpr int place(int i, int j) { return j * (j + 1) / 2 + i; }

// one[a][i][j] has x_a once, x_{a+1}..x_i twice and the rest to x_j once; two[a][i][j] has x_a twice as well.
template <int X, bool CLOSE>
static inline void twice(const Nodes<X> &nodes, const vec tau, vec *c, vec *d) {
  vec one[X][X][X], two[X][X][X];
  for (int a = 0; a < X; a++) {
    one[a][a][a] = vexp(tau * nodes.x[a]);
    two[a][a][a] = tau * one[a][a][a];
  }
#pragma GCC unroll 8
  for (int k = 1; k < X; k++)
#pragma GCC unroll 8
    for (int a = 0; a < X - k; a++) {
      const int j = a + k;
      const vec e = one[a][a][a];
#pragma GCC unroll 8
      for (int i = a; i <= j; i++) {
        const vec up = i > a ? two[a + 1][i][j] : one[a + 1][a + 1][j], down = j > i ? one[a][i][j - 1] : one[a][j - 1][j];
        one[a][i][j] = difference<X, CLOSE>(nodes, tau, up, down, e, a, i, j, false);
        const vec below = j > i ? two[a][i][j - 1] : two[a][j - 1][j];
        two[a][i][j] = difference<X, CLOSE>(nodes, tau, one[a][i][j], below, e, a, i, j, true);
      }
    }
  for (int j = 0; j < X; j++) {
    c[j] = one[0][0][j];
    for (int i = 0; i <= j; i++) d[place(i, j)] = two[0][i][j];
  }
}

static inline void two_nodes(const Nodes<2> &nodes, const vec tau, vec *c) {
  c[0] = vexp(tau * nodes.x[0]);
  c[1] = (vexp(tau * nodes.x[1]) - c[0]) * nodes.per[0][1];
  const Near close(nodes, tau, c[0]);
  if (bits(close.near)) c[1] = choose(close.near, close.f01, c[1]);
}
static inline void two_nodes(const Nodes<2> &nodes, const vec tau, vec *c, vec *d) {
  const vec e = vexp(tau * nodes.x[1]), per = nodes.per[0][1];
  c[0] = vexp(tau * nodes.x[0]);
  c[1] = (e - c[0]) * per;
  d[place(0, 0)] = tau * c[0];
  d[place(0, 1)] = (c[1] - d[place(0, 0)]) * per;
  d[place(1, 1)] = ((tau * e - c[1]) * per - d[place(0, 1)]) * per;
  const Near close(nodes, tau, c[0]);
  if (!bits(close.near)) return;
  c[1] = choose(close.near, close.f01, c[1]);
  d[place(0, 1)] = choose(close.near, close.f001, d[place(0, 1)]);
  d[place(1, 1)] = choose(close.near, close.f0011, d[place(1, 1)]);
}

// Where no two nodes are near each other, without asking again.
template <int X>
static inline void differences(const Nodes<X> &nodes, const vec tau, vec *c) {
  if constexpr (X == 2) return two_nodes(nodes, tau, c);
  if (bits((mask)(tau * nodes.least < all(NEAR)))) once<X, true>(nodes, tau, c);
  else once<X, false>(nodes, tau, c);
}
template <int X>
static inline void differences(const Nodes<X> &nodes, const vec tau, vec *c, vec *d) {
  if constexpr (X == 2) return two_nodes(nodes, tau, c, d);
  if (bits((mask)(tau * nodes.least < all(NEAR)))) twice<X, true>(nodes, tau, c, d);
  else twice<X, false>(nodes, tau, c, d);
}

// What holds under one set of parameters and covariates: the matrix, the constant input, the nodes.
template <int X>
struct Law {
  vec m[ENTRIES], c[N];
  Nodes<X> nodes;
  void make(const vec *p, const vec *q) {
    matrix(p, q, m, c);
    vec values[N + 1];
    eigenvalues(m, values);
    values[N] = all(0.0);
    nodes.put(values);
  }
};

// One segment: its law, its input, and the chain w (with s) from the state it begins with.
template <int X>
struct Stretch {
  const Law<X> *law;
  vec u[N], w[X][N], s[X];
  void chain(const vec *y) {
    for (int i = 0; i < N; i++) w[0][i] = y[i];
    s[0] = all(X > N ? 1.0 : 0.0);
    for (int k = 0; k + 1 < X; k++) {
      const vec x = law->nodes.x[k];
      times(law->m, w[k], w[k + 1]);
      for (int i = 0; i < N; i++) w[k + 1][i] += s[k] * u[i] - x * w[k][i];
      s[k + 1] = -x * s[k];
    }
  }
  void end(const vec *c, vec *y) const {
    for (int i = 0; i < N; i++) {
      y[i] = c[0] * w[0][i];
      for (int k = 1; k < X; k++) y[i] += c[k] * w[k][i];
    }
  }
  // dy/dt at y.
  void slope(const vec *y, vec *f) const {
    times(law->m, y, f);
    for (int i = 0; i < N; i++) f[i] += u[i];
  }
};
