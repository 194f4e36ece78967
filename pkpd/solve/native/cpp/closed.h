// The closed form, its adjoint and its tangent; groups of subjects are shared among the threads that are lent.
template <class Each>
static void groups(const Problem &P, const Pool &pool, Each each) {
  const int64_t count = (P.B + W - 1) / W, most = P.threads > 0 ? P.threads : pool.size;
  const int64_t threads = std::max<int64_t>(1, std::min(most, count / 4));  // a group takes microseconds: fewer than four are not worth a thread
  std::atomic<int64_t> next(0);
  together(pool, threads, [&] {
    static thread_local std::vector<int32_t> spare;
    for (int64_t i; (i = next++) < count;) each(Group(P, i * W, spare));
  });
}

// Nothing needs to be recorded: the adjoint works out again what it needs.
static void solve(const Arguments &a, const Pool &pool, double *y, int32_t *status, int32_t *steps, int64_t *ticket) {
  const Problem P{a};
  std::fill_n(status, P.B, 0);
  std::fill_n(steps, P.B, int32_t(P.E));
  if (ticket) std::fill_n(ticket, P.B, int64_t(0));
  if (P.M == 0) return;
  groups(P, pool, [&](const Group &g) {
    if (CONSTANT || g.driven(P.rate)) values<N + 1>(g, y);
    else values<N>(g, y);
  });
}

static void pull(const Arguments &a, const Pool &pool, const int64_t *, const Gradient &G) {
  const Problem P{a};
  if (P.M == 0) return;
  const bool rates = P.asked >> 2 & 1;  // edges, jump, rate, ...
  groups(P, pool, [&](const Group &g) {
    if (CONSTANT || rates || g.driven(P.rate)) Adjoint<N + 1>{g, P, G}.run();
    else Adjoint<N>{g, P, G}.run();
  });
}

static void push(const Arguments &a, const Arguments &moved, const Pool &pool, const int64_t *, double *dy) {
  const Problem P{a}, T{moved};
  if (P.M == 0) return;
  groups(P, pool, [&](const Group &g) {
    if (CONSTANT || g.driven(P.rate) || g.driven(T.rate)) Tangent<N + 1>{g, P, T}.run(dy);
    else Tangent<N>{g, P, T}.run(dy);
  });
}
