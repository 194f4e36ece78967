// Stan's NUTS (diagonal metric, adapted) on a model: `sample DATA.json START.json WARMUP DRAWS DELTA SEED CHAINS OUT`.
// Chain c writes its draws after warm-up to OUT.c.csv. Prints the CPU seconds of warm-up and sampling of all chains.
#include MODEL

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>

#include <stan/callbacks/interrupt.hpp>
#include <stan/callbacks/logger.hpp>
#include <stan/callbacks/stream_writer.hpp>
#include <stan/callbacks/writer.hpp>
#include <stan/io/json/json_data.hpp>
#include <stan/services/sample/hmc_nuts_diag_e_adapt.hpp>

int main(int argc, char **argv) {
  if (argc != 9) return 2;
  std::ifstream data(argv[1]), start(argv[2]);
  stan::json::json_data given(data), from(start);
  stan_model model(given, 1, &std::cerr);
  stan::callbacks::interrupt interrupt;
  stan::callbacks::logger quiet;
  stan::callbacks::writer unseen;
  const std::clock_t begin = std::clock();
  for (int chain = 1; chain <= std::atoi(argv[7]); chain++) {
    std::ofstream file(std::string(argv[8]) + "." + std::to_string(chain) + ".csv");
    stan::callbacks::stream_writer draws(file, "# ");
    const int failed = stan::services::sample::hmc_nuts_diag_e_adapt(
        model, from, std::atoi(argv[6]), chain, 2.0, std::atoi(argv[3]), std::atoi(argv[4]), 1, false, 0, 1.0, 0.0, 10, std::atof(argv[5]), 0.05, 0.75,
        10.0, 75, 50, 25, interrupt, quiet, unseen, draws, unseen);
    if (failed) return failed;
  }
  std::printf("%.6e\n", double(std::clock() - begin) / CLOCKS_PER_SEC);
}
