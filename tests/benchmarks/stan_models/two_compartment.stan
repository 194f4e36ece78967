// Two compartments, oral doses: the same posterior as two_compartment.py (non-centred); parameters stand in the order of our sites.
functions {
  vector rates(real t, vector y, real ka, real k10, real k12, real k21) {
    vector[3] d;
    d[1] = -ka * y[1];
    d[2] = ka * y[1] - (k10 + k12) * y[2] + k21 * y[3];
    d[3] = k12 * y[2] - k21 * y[3];
    return d;
  }
  // Amounts in the central compartment `since` hours after a unit dose by mouth.
  vector unit(vector since, real ka, real k10, real k12, real k21) {
    real sum = k10 + k12 + k21, root = sqrt(square(sum) - 4 * k10 * k21);
    real alpha = 0.5 * (sum + root), beta = 2 * k10 * k21 / (sum + root);
    real a = ka * (k21 - alpha) / ((ka - alpha) * (beta - alpha)), b = ka * (k21 - beta) / ((ka - beta) * (alpha - beta));
    return a * exp(-alpha * since) + b * exp(-beta * since) - (a + b) * exp(-ka * since);
  }
  // States at the stops after a time; the type of the state decides whether it has sensitivities.
  array[] vector path(vector y, real begin, array[] real stop, data int method, data real tolerance, real ka, real k10, real k12, real k21) {
    if (method == 1)
      return ode_rk45_tol(rates, y, begin, stop, tolerance, tolerance, 100000, ka, k10, k12, k21);
    if (method == 2)
      return ode_bdf_tol(rates, y, begin, stop, tolerance, tolerance, 100000, ka, k10, k12, k21);
    array[size(stop)] vector[3] states;
    matrix[3, 3] rate = [[-ka, 0, 0], [ka, -k10 - k12, k21], [0, k12, -k21]];
    states[1] = matrix_exp(rate * (stop[1] - begin)) * y;
    for (m in 2 : size(stop))
      states[m] = matrix_exp(rate * (stop[m] - stop[m - 1])) * states[m - 1];
    return states;
  }
}
data {
  int<lower=1> subjects, looks, doses, pairs;
  array[looks] real times;  // the same for all subjects; a look at the time of a dose is read before it
  array[doses + 1] real edges;  // dose times, and the last look
  array[doses] int first, last;  // looks after each dose and up to the next
  array[doses] int ends;  // is the next edge a look?
  vector[pairs] since;  // time from each dose given before a look to that look, look by look
  array[looks] int from, to;
  real amount;
  matrix[looks, subjects] log_cp;
  int<lower=0, upper=3> method;  // 0 closed form, 1 ode_rk45, 2 ode_bdf, 3 matrix exponential
  real tolerance;
}
parameters {
  real<lower=0> CL, Q, V1, V2, ka, omega_CL, omega_Q, omega_V1, omega_V2, omega_ka;
  vector[subjects] raw_CL, raw_Q, raw_V1, raw_V2, raw_ka;
  real<lower=0> sigma_cp;
}
model {
  vector[subjects] cl = CL * exp(omega_CL * raw_CL), q = Q * exp(omega_Q * raw_Q), v1 = V1 * exp(omega_V1 * raw_V1);
  vector[subjects] v2 = V2 * exp(omega_V2 * raw_V2), k = ka * exp(omega_ka * raw_ka);
  matrix[looks, subjects] mean;
  CL ~ lognormal(1.6, 0.5);
  Q ~ lognormal(1.1, 0.5);
  V1 ~ lognormal(3.0, 0.5);
  V2 ~ lognormal(3.9, 0.5);
  ka ~ lognormal(0.0, 0.5);
  omega_CL ~ normal(0, 0.5);
  omega_Q ~ normal(0, 0.5);
  omega_V1 ~ normal(0, 0.5);
  omega_V2 ~ normal(0, 0.5);
  omega_ka ~ normal(0, 0.5);
  sigma_cp ~ normal(0, 0.5);
  raw_CL ~ std_normal();
  raw_Q ~ std_normal();
  raw_V1 ~ std_normal();
  raw_V2 ~ std_normal();
  raw_ka ~ std_normal();
  for (i in 1 : subjects) {
    real k10 = cl[i] / v1[i], k12 = q[i] / v1[i], k21 = q[i] / v2[i];
    vector[looks] central;
    if (method == 0) {
      vector[pairs] each = unit(since, k[i], k10, k12, k21);
      for (m in 1 : looks)
        central[m] = amount * sum(each[from[m] : to[m]]);
    } else {
      vector[3] y;
      for (j in 1 : doses) {
        int n = last[j] - first[j] + 1, stops = n + 1 - ends[j];
        array[stops] real stop = append_array(times[first[j] : last[j]], edges[j + 1 : j + 1 - ends[j]]);
        array[stops] vector[3] states;
        if (j == 1)
          states = path([amount, 0, 0]', edges[1], stop, method, tolerance, k[i], k10, k12, k21);
        else
          states = path(y + [amount, 0, 0]', edges[j], stop, method, tolerance, k[i], k10, k12, k21);
        for (m in 1 : n)
          central[first[j] + m - 1] = states[m][2];
        y = states[stops];
      }
    }
    mean[ : , i] = log(central / v1[i]);
  }
  to_vector(log_cp) ~ normal(to_vector(mean), sigma_cp);
}
