// What passes between XLA's side (calls.cc, compiled once) and a model's library: arguments, threads, and the three things a model can do.
#include <cstdint>

struct Arguments {
  int64_t B, E, M;  // subjects, segments, looks; every table has subjects last
  const double *edges, *jump, *rate, *reset, *clear, *y0, *p, *q, *times, *atol;
  const int32_t *segment;
  double rtol;
  int64_t max_steps, threads, asked;
};

// Where a pull puts what `weight` asks of each argument.
struct Gradient {
  const double *weight;  // [M, N, B]
  double *edges, *jump, *rate, *y0, *p, *q, *times;
};

// Threads to be had: `together` does work(what) on this one and on up to threads - 1 others, and returns when all are done.
struct Pool {
  void *owner;
  int64_t size;
  void (*together)(void *owner, int64_t threads, void (*work)(void *), void *what);
};

struct Model {
  // `ticket` [B], where it is not null: by these numbers a pull or push finds the steps taken here.
  void (*solve)(const Arguments &, const Pool &, double *y, int32_t *status, int32_t *steps, int64_t *ticket);
  void (*pull)(const Arguments &, const Pool &, const int64_t *ticket, const Gradient &);
  void (*push)(const Arguments &, const Arguments &moved, const Pool &, const int64_t *ticket, double *dy);
};
