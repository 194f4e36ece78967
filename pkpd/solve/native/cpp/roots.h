// Eigenvalues of blocks of states that exchange with each other.

// Eigenvalues of a symmetric matrix by cyclic rotations (Golub & Van Loan, Matrix Computations, 8.5), sixteen sweeps at most.
template <int S>
static void rotate(vec a[S][S], vec *x) {
  for (int sweep = 0; sweep < 16; sweep++) {
    vec off = all(0.0), size = all(0.0);
    for (int i = 0; i < S; i++)
      for (int j = 0; j < S; j++) (i == j ? size : off) += a[i][j] * a[i][j];
    const mask settled = (mask)(off <= all(1e-34) * size);  // such a lane is left as it is, whatever its neighbours still need
    if (bits(settled) == (1u << W) - 1) break;
    for (int i = 0; i < S; i++)
      for (int j = i + 1; j < S; j++) {
        const mask none = settled | (mask)(a[i][j] == all(0.0));
        const vec theta = (a[j][j] - a[i][i]) / choose(none, all(1.0), all(2.0) * a[i][j]);
        const vec root = vabs(theta) + vsqrt(theta * theta + all(1.0));
        const vec tangent = choose(none, all(0.0), choose((mask)(theta < all(0.0)), all(-1.0), all(1.0)) / root);
        const vec c = all(1.0) / vsqrt(tangent * tangent + all(1.0)), s = tangent * c;
        for (int k = 0; k < S; k++) { const vec u = a[k][i], v = a[k][j]; a[k][i] = c * u - s * v; a[k][j] = s * u + c * v; }
        for (int k = 0; k < S; k++) { const vec u = a[i][k], v = a[j][k]; a[i][k] = c * u - s * v; a[j][k] = s * u + c * v; }
      }
  }
  for (int i = 0; i < S; i++) x[i] = a[i][i];
}

// The roots of a pair that exchanges: the fast one, and the slow one by the product of both.
static inline void pair(const vec a, const vec b, const vec c, const vec d, vec *x) {
  x[0] = all(0.5) * (a + d - vsqrt((a - d) * (a - d) + all(4.0) * b * c));
  x[1] = choose((mask)(x[0] == all(0.0)), x[0], (a * d - b * c) / x[0]);
}
