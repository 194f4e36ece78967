"""Covariate effects as a report stores them, for a tree that is made up: three estimated, one fixed, two on other scales."""

import json

import numpy as np

from tests.fakes import fake_tree

LOG = {"scale": "log", "unit": "1/h", "typical": None}
FACTS = [
    {**LOG, "parameter": "CL", "covariate": "WT", "kind": "power", "reference": 70.0, "value": 0.75, "site": "beta_CL_WT"},
    {
        **LOG,
        "parameter": "CL",
        "covariate": "AGE",
        "kind": "exponential",
        "reference": 40.0,
        "per": 10.0,
        "value": None,
        "site": "beta_CL_AGE",
    },
    {**LOG, "parameter": "s_il6", "covariate": "HER2", "kind": "categorical", "reference": 3.0, "value": None, "site": "beta_s_il6_HER2"},
    {**LOG, "scale": "logit", "unit": "1", "parameter": "F", "covariate": "AGE", "kind": "exponential", "reference": 40.0, "value": None}
    | {"site": "beta_F_AGE"},
    {**LOG, "scale": "identity", "unit": "pg/mL", "parameter": "base", "covariate": "WT", "kind": "power", "reference": 70.0, "value": 0.5}
    | {"site": "beta_base_WT"},
]
AT = {"WT": [[52.0, "5th percentile"], [98.0, "95th percentile"]], "AGE": [[24.0, "5th percentile"], [71.0, "95th percentile"]]}
AT["HER2"] = [[2.0, "2 of 6 subjects"]]


def tree_with_effects():
    """A fake tree whose report knows of `FACTS`, with the draws they need."""
    tree = fake_tree()
    report = json.loads(tree.attrs["report"]) | {"effects": [{**f, "at": AT[f["covariate"]]} for f in FACTS]}
    tree.attrs["report"] = json.dumps(report)
    rng, shape = np.random.default_rng(8), (4, 150)
    draws = {"beta_CL_AGE": -0.09 + 0.04 * rng.standard_normal(shape), "beta_F_AGE": 0.02 + 0.01 * rng.standard_normal(shape)}
    draws["F"] = np.clip(0.6 + 0.05 * rng.standard_normal(shape), 0.05, 0.95)
    tree["posterior"] = tree["posterior"].to_dataset().assign({k: (("chain", "draw"), v) for k, v in draws.items()})
    return tree
