// The arguments of a solve, by segment, look and lane (subject).
struct Problem : Arguments {
  double edge(int64_t e, int64_t b) const { return edges[e * B + b]; }
  double kept(int64_t e, int64_t b) const { return 1.0 - reset[e * B + b] - clear[e * B + b]; }
  int64_t table(int64_t e, int64_t i, int64_t b) const { return (e * N + i) * B + b; }
  int64_t covariate(int64_t j, int64_t e, int64_t b) const { return (j * E + e) * B + b; }
};
enum Status : int32_t { OK = 0, STEPS_EXHAUSTED = 1, NOT_FINITE = 2 };

template <class Work>
static inline void together(const Pool &pool, int64_t threads, Work work) {
  if (threads <= 1) work();
  else pool.together(pool.owner, threads, [](void *what) { (*static_cast<Work *>(what))(); }, &work);
}
