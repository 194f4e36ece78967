"""A model in two parts: cells that leave the blood for tissue, and a cytokine they release. Values are made up for the example."""

from pkpd import Component, Dose, Model, ModelError, Observable, Param, Signal, State, UnitError, compose, flow, gain, loss, total

EXAMPLE = "assumption: made up for this example"
CELLS = "1e9 cells"

# cells
cells_in_body = Component(
    "cells_in_body",
    states=(State("blood", CELLS, "circulating"), State("tissue", CELLS, "settled in tissue")),
    params=(
        Param("k_home", 0.10, "1/h", "homing from blood to tissue", source=EXAMPLE),
        Param("k_death", 0.02, "1/h", "death, in blood and in tissue", source=EXAMPLE),
    ),
    rates=lambda t, y, p, s: total(
        flow("blood", "tissue", p.k_home * y.blood),
        loss("blood", p.k_death * y.blood),
        loss("tissue", p.k_death * y.tissue),
    ),
    doses=Dose("infusion", into="blood"),
    gives=Signal("stimulus", CELLS, "cells that release the cytokine"),
    signals=lambda t, y, p, s: {"stimulus": y.tissue},
)
# cytokine
cytokine = Component(
    "cytokine",
    states=State("il6", "pg/mL", "IL-6 in serum", initial="base"),
    params=(
        Param("base", 2.0, "pg/mL", "concentration without cells", source=EXAMPLE),
        Param("kout", 0.5, "1/h", "elimination", source=EXAMPLE),
        Param("rise", 30.0, "pg/mL/(1e9 cells)", "rise per cell in tissue, at balance", source=EXAMPLE),
    ),
    reads="stimulus",
    rates=lambda t, y, p, s: total(
        gain("il6", p.kout * (p.base + p.rise * s.stimulus)),
        loss("il6", p.kout * y.il6),
    ),
)

# compose
OBSERVED = (
    Observable("cells", CELLS, lambda y, p, s: y.blood, "cells in blood"),
    Observable("il6", "pg/mL", lambda y, p, s: y.il6, "serum IL-6"),
)
cells_and_il6 = compose("cells_and_il6", cells_in_body, cytokine, observables=OBSERVED, text=__doc__)
# end of compose


# mistakes
def no_source() -> Param:
    return Param("k_home", 0.10, "1/h", "homing from blood to tissue")


def no_giver() -> Model:
    return compose("alone", cytokine, observables=OBSERVED[1])


def two_owners() -> Model:
    again = Component("again", State("il6", "pg/mL", "IL-6, once more"), rates=lambda t, y, p, s: total())
    return compose("twice", cells_in_body, cytokine, again, observables=OBSERVED)


def wrong_name() -> Model:
    misread = Observable("cells", CELLS, lambda y, p, s: y.bloood, "cells in blood")
    return compose("typing", cells_in_body, cytokine, observables=misread)


def wrong_units() -> Model:
    tissue = Observable("tissue", "pg/mL", lambda y, p, s: y.tissue, "cells in tissue")
    return compose("units", cells_in_body, cytokine, observables=(*OBSERVED, tissue))


def adds_apples_to_pears() -> Model:
    def rates(t, y, p, s):
        return total(gain("il6", p.kout * (p.base + s.stimulus)), loss("il6", p.kout * y.il6))

    careless = Component("careless", cytokine.states, cytokine.params, rates, reads="stimulus")
    return compose("careless", cells_in_body, careless, observables=OBSERVED)
    # end of mistakes


MISTAKES = (no_source, no_giver, two_owners, wrong_name, wrong_units, adds_apples_to_pears)


# refusals
def refusals() -> dict[str, str]:
    """What each mistake is told."""
    told = {}
    for mistake in MISTAKES:
        try:
            mistake()
        except (ModelError, UnitError) as error:
            told[mistake.__name__] = f"{type(error).__name__}: {error}"
    return told


if __name__ == "__main__":
    from pkpd import describe

    print(describe(cells_and_il6))
    print(*refusals().values(), sep="\n")
