# Rscript nlme_reference.R : the reference estimates for fits/theophylline.py, written to nlme_reference.csv. Run in this folder.
# One compartment, first-order absorption, dose in mg (not mg/kg); ln ka, ln CL, ln V with independent normal random
# effects of each subject; additive residual error; maximum likelihood (Lindstrom & Bates 1990), all 132 observations.
library(nlme)

concentration <- function(dose, time, lka, lcl, lv) {
  ka <- exp(lka); cl <- exp(lcl); v <- exp(lv); ke <- cl / v
  dose * ka / (v * (ka - ke)) * (exp(-ke * time) - exp(-ka * time))
}

theoph <- as.data.frame(datasets::Theoph)
theoph$Subject <- factor(as.character(theoph$Subject))
theoph$mg <- theoph$Dose * theoph$Wt

fit <- nlme(conc ~ concentration(mg, Time, lka, lcl, lv), data = theoph, fixed = lka + lcl + lv ~ 1,
            random = pdDiag(lka + lcl + lv ~ 1), groups = ~Subject, start = c(lka = 0.5, lcl = 1, lv = 3.4), method = "ML")
print(summary(fit))

table <- summary(fit)$tTable
spread <- as.numeric(VarCorr(fit)[c("lka", "lcl", "lv"), "StdDev"])
log_se <- sqrt(diag(fit$apVar))   # of ln(omega_ka), ln(omega_CL), ln(omega_V), ln(sigma), in this order
symbols <- c("ka", "CL", "V")
row <- function(quantity, estimate, se, unit, note) data.frame(quantity, estimate, se, unit, note)
reference <- rbind(
  row(paste0("ln_", symbols), table[, "Value"], table[, "Std.Error"], c("ln 1/h", "ln L/h", "ln L"), "fixed effect; se as nlme prints it"),
  row(symbols, exp(table[, "Value"]), exp(table[, "Value"]) * table[, "Std.Error"], c("1/h", "L/h", "L"), "exp of the fixed effect; se by the delta method"),
  row(paste0("omega_", symbols), spread, spread * log_se[1:3], "1", "sd of the random effect on the ln scale; se by the delta method"),
  row("sigma_cp", fit$sigma, fit$sigma * log_se[4], "mg/L", "additive residual sd; se by the delta method"),
  row("log_likelihood", as.numeric(logLik(fit)), NA, "1", "linearised; maximum likelihood"))
reference$estimate <- signif(reference$estimate, 7)
reference$se <- signif(reference$se, 5)
write.csv(reference, "nlme_reference.csv", row.names = FALSE, quote = FALSE, na = "")
