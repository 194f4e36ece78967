// Gradients of a Stan model's log density, as its sampler takes them: `loop DATA.json POINTS SECONDS`.
// POINTS holds a count, a dimension and the unconstrained points. Prints log density and gradient at each, then the CPU seconds of one gradient: the
// least of four batch means, each gradient beginning where the one before led.
#include MODEL

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>

#include <stan/io/json/json_data.hpp>
#include <stan/model/gradient.hpp>

using Vector = Eigen::VectorXd;

static double batch(const stan_model &model, Vector x, long calls) {
  Vector slope;
  double value;
  const std::clock_t begin = std::clock();
  for (long n = 0; n < calls; n++) {
    stan::model::gradient(model, x, value, slope, &std::cerr);
    x += 1e-13 * slope;
  }
  return double(std::clock() - begin) / CLOCKS_PER_SEC / calls;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  std::ifstream data(argv[1]), points(argv[2]);
  stan::json::json_data given(data);
  const stan_model model(given, 1, &std::cerr);
  long count, size;
  points >> count >> size;
  if (size != long(model.num_params_r())) return 3;
  Vector x(size), slope(size);
  for (long n = 0; n < count; n++) {
    for (long i = 0; i < size; i++) points >> x[i];
    double value;
    stan::model::gradient(model, x, value, slope, &std::cerr);
    std::printf("%.17g", value);
    for (long i = 0; i < size; i++) std::printf(" %.17g", slope[i]);
    std::printf("\n");
  }
  const long calls = std::max(1L, long(std::atof(argv[3]) / 4 / std::max(batch(model, x, 3), 1e-7)));
  double least = batch(model, x, calls);
  for (int n = 1; n < 4; n++) least = std::min(least, batch(model, x, calls));
  std::printf("%.6e\n", least);
}
