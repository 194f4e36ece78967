}  // namespace

extern "C" const Model pkpd_model = {solve, pull, push};
