// Theophylline, the same posterior as fits/theophylline.py with every weight at 1 (centred); parameters stand in the order of our sites.
functions {
  vector rates(real t, vector y, real ka, real ke) {
    vector[2] d;
    d[1] = -ka * y[1];
    d[2] = ka * y[1] - ke * y[2];
    return d;
  }
  real concentration(real dose, real t, real ka, real cl, real v) {
    real ke = cl / v;
    return dose * ka / (v * (ka - ke)) * (exp(-ke * t) - exp(-ka * t));
  }
}
data {
  int<lower=1> subjects, rows;
  array[subjects] int first, later, last;  // rows of a subject: all, and those after time 0
  array[rows] real times;
  vector[rows] hours, cp;
  vector[subjects] dose;
  int<lower=0, upper=3> method;  // 0 closed form by vectors, 1 ode_rk45, 2 ode_bdf, 3 closed form row by row
  real tolerance;
}
parameters {
  real<lower=0> CL, V, ka, omega_CL, omega_V, omega_ka;
  vector[subjects] raw_CL, raw_V, raw_ka;
  real<lower=0> sigma_cp;
}
model {
  vector[subjects] ke = exp(raw_CL - raw_V), k = exp(raw_ka), given = dose ./ exp(raw_V);
  vector[rows] mean = rep_vector(0, rows);
  CL ~ lognormal(1.0, 1.0);
  V ~ lognormal(3.5, 1.0);
  ka ~ lognormal(0.4, 1.0);
  omega_CL ~ std_normal();
  omega_V ~ std_normal();
  omega_ka ~ std_normal();
  sigma_cp ~ normal(0, 2);
  raw_CL ~ normal(log(CL), omega_CL);
  raw_V ~ normal(log(V), omega_V);
  raw_ka ~ normal(log(ka), omega_ka);
  for (i in 1 : subjects) {
    int a = later[i], z = last[i];
    if (method == 0) {
      mean[a : z] = given[i] * k[i] / (k[i] - ke[i]) * (exp(-ke[i] * hours[a : z]) - exp(-k[i] * hours[a : z]));
    } else if (method == 3) {
      for (m in a : z)
        mean[m] = concentration(dose[i], times[m], exp(raw_ka[i]), exp(raw_CL[i]), exp(raw_V[i]));
    } else {
      array[z - a + 1] vector[2] y;  // the dose stands in the call, where it is data: a local variable would cost sensitivities
      if (method == 1)
        y = ode_rk45_tol(rates, [dose[i], 0]', 0.0, times[a : z], tolerance, tolerance, 100000, k[i], ke[i]);
      else
        y = ode_bdf_tol(rates, [dose[i], 0]', 0.0, times[a : z], tolerance, tolerance, 100000, k[i], ke[i]);
      mean[a : z] = to_vector(y[ : , 2]) * given[i] / dose[i];
    }
  }
  cp ~ normal(mean, sigma_cp);
}
