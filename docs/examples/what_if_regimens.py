"""The same daily dose of theophylline, given three ways to a typical subject: regimens as values, and predictions for a table."""

import pandas as pd

from pkpd import oral, simulate
from pkpd.models.classic import one_compartment_oral

# regimens
once = oral((320, "mg")).every((24, "h"), times=5)
twice = oral((160, "mg")).every((12, "h"), times=10)
loaded = oral((240, "mg")) + oral((160, "mg")).every((12, "h"), times=9).at((12, "h"))

ARMS = {"once a day": once, "twice a day": twice, "loading dose": loaded}
# end of regimens


# records
def records(arms=ARMS, hours: int = 120) -> pd.DataFrame:
    """One subject an arm: its doses and a look every hour, at the time of a dose after it."""
    doses = pd.concat([regimen.to_records(one_compartment_oral, id=name) for name, regimen in arms.items()])
    each = [(name, float(t), 0) for name in arms for t in range(hours + 1)]
    rows = pd.concat([doses, pd.DataFrame(each, columns=["ID", "TIME", "EVID"])])
    return rows.sort_values(["ID", "TIME", "EVID"], ascending=[True, True, False], ignore_index=True)


# simulate
def predictions() -> pd.DataFrame:
    """Concentration (mg/L) by hour, one column an arm; parameters are typical but for CL."""
    seen = simulate(one_compartment_oral, records(), {"CL": 2.5}, units={"TIME": "h", "AMT": "mg"})
    return seen[seen["EVID"] == 0].pivot(index="TIME", columns="ID", values="cp")[list(ARMS)]
    # end of simulate


if __name__ == "__main__":
    print(predictions().loc[96:120].describe().loc[["min", "mean", "max"]])
