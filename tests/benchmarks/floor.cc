// Problem C, one explicit step of six stages on eight subjects at once, again and again: rates and stage sums only.
// No error estimate, no step control, no events, no record for the way back. Prints the seconds of one step of one subject.
#include <cstdio>
#include <ctime>

constexpr int LANES = 8, STATES = 10, STAGES = 6, REPEATS = 400000;
typedef double vec __attribute__((vector_size(8 * LANES)));

// Tsitouras' coefficients to four digits: the numbers cost what any numbers cost.
constexpr double A[STAGES][STAGES] = {{0},
                                      {0.161},
                                      {-0.0085, 0.3355},
                                      {2.8972, -6.3594, 4.3623},
                                      {5.3259, -11.7489, 7.4955, -0.0925},
                                      {5.8615, -12.9210, 8.1594, -0.0716, -0.0283}};
constexpr double B[STAGES] = {0.0965, 0.01, 0.4799, 1.3790, -3.2901, 2.3247};

struct Rates {
  vec lung_in, lung_out, liver, spleen, tumour, death, e_max, ec50, il6, kill, grow, t_cells;

  inline void operator()(const vec *y, vec inflow, vec *d) const {
    const vec zero = {}, size = y[9] > zero ? y[9] : zero, caught = tumour * y[0] * size;
    const vec drive = y[4] + 0.02 * (y[1] + y[0]) + 0.0005 * inflow, stimulus = e_max * drive / (ec50 + drive);
    d[0] = inflow - (lung_in + liver + spleen + death) * y[0] - caught + lung_out * y[1] + 0.3 * y[2] + 0.4 * y[3];
    d[1] = lung_in * y[0] - (lung_out + death) * y[1];
    d[2] = liver * y[0] - (0.3 + death) * y[2];
    d[3] = spleen * y[0] - (0.4 + death) * y[3];
    d[4] = caught - death * y[4];
    d[5] = il6 * (1.0 + stimulus + 0.3 * y[6] / (1.0 + 0.1 * y[6]) - y[5]);
    d[6] = 40.0 * (1.0 + 0.5 * stimulus - y[6]);
    d[7] = 6.0 * (1.0 + 0.6 * y[8] - y[7]);
    d[8] = t_cells * y[4] / (1.0 + y[4]) - 0.2 * y[8];
    d[9] = grow * y[9] * (1.0 - 0.2 * y[9]) - kill * (y[4] + 0.5 * y[8]) * y[9];
  }
};

static vec spread(double x) {
  vec r;
  for (int l = 0; l < LANES; l++) r[l] = x * (1.0 + 0.01 * l);
  return r;
}

static void step(const Rates &rates, vec h, vec *y) {
  vec k[STAGES][STATES], z[STATES];
#pragma GCC unroll 6
  for (int s = 0; s < STAGES; s++) {
    for (int i = 0; i < STATES; i++) {
      vec sum = {};
      for (int j = 0; j < s; j++) sum += A[s][j] * k[j][i];
      z[i] = y[i] + h * sum;
    }
    rates(z, h, k[s]);
  }
  for (int i = 0; i < STATES; i++) {
    vec sum = {};
    for (int j = 0; j < STAGES; j++) sum += B[j] * k[j][i];
    y[i] += h * sum;
  }
}

int main(int argc, char **) {
  const double typical[] = {60, 3, 8, 1.5, 0.6, 0.15, 40, 0.8, 8, 0.05, 0.012, 0.5};
  Rates rates;
  for (int i = 0; i < 12; i++) (&rates.lung_in)[i] = spread(typical[i] * argc);
  vec y[STATES];
  for (int i = 0; i < STATES; i++) y[i] = spread(0.7);
  const vec h = spread(1e-3);
  const std::clock_t begin = std::clock();
  for (int n = 0; n < REPEATS; n++) step(rates, h, y);
  const double taken = double(std::clock() - begin) / CLOCKS_PER_SEC;
  double sum = 0.0;
  for (int i = 0; i < STATES; i++) sum += y[i][0];
  std::printf("%.4e\n", sum == sum ? taken / REPEATS / LANES : -1.0);
}
