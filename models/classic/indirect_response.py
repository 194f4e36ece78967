"""Indirect response: a drug inhibits or stimulates the production or the loss of a response that turns over.

    dR/dt = kin (1 + a_in E(C)) - kout (1 + a_out E(C)) R ,   E(C) = Emax C / (EC50 + C) ,   R(0) = kin / kout = R0

    I   production inhibited (a_in = -1)      II  loss inhibited (a_out = -1)
    III production stimulated (a_in = +1)     IV  loss stimulated (a_out = +1)

Source: Dayneka, Garg & Jusko, J Pharmacokinet Biopharm 1993;21:457. Typical values are assumptions.
"""

from pkpd import Component, Example, Observable, Param, Signal, State, bolus, compose, gain, loss, total

from .one_compartment import CL, KA, V, absorption, central

TYPICAL = "assumption: typical small molecule"

concentration = Component(
    "concentration",
    params=V,
    reads="central",
    gives=Signal("concentration", "mg/L", "plasma concentration that drives the response"),
    signals=lambda t, y, p, s: {"concentration": y.central / p.V},
)


def response(kind: str, unit: str = "ng/mL") -> Component:
    """The turnover of a response of type "I", "II", "III" or "IV", measured in `unit`."""
    on_production, on_loss = {"I": (-1.0, 0.0), "II": (0.0, -1.0), "III": (1.0, 0.0), "IV": (0.0, 1.0)}[kind]
    limit = "fraction of production or loss that can be inhibited" if kind in ("I", "II") else "largest relative stimulation"

    def rates(t, y, p, s):
        effect = p.Emax * s.concentration / (p.EC50 + s.concentration)
        changed = lambda sign: 1.0 + sign * effect if sign else 1.0  # noqa: E731  0 x effect would make the rate look as if it varied
        made, lost = p.kout * p.R0 * changed(on_production), p.kout * y.response * changed(on_loss)
        return total(gain("response", made), loss("response", lost))

    return Component(
        "response",
        states=State("response", unit, "the response", initial="R0"),
        params=(
            Param("kout", 0.1, "1/h", "loss rate of the response", source=TYPICAL),
            Param("R0", 10.0, unit, "response without drug", source=TYPICAL),
            Param("Emax", 0.9, "1", limit, source=TYPICAL, support="unit" if kind in ("I", "II") else "positive"),
            Param("EC50", 2.0, "mg/L", "concentration of half the largest effect", source=TYPICAL),
        ),
        reads="concentration",
        rates=rates,
    )


_observed = (
    Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration"),
    Observable("effect", "ng/mL", lambda y, p, s: y.response, "the response"),
)


EXAMPLE = Example(bolus((320, "mg"), into="oral"), (72, "h"), "assumption: the amount of one_compartment_oral")


def _model(kind: str):
    return compose(
        f"indirect_response_{kind}",
        absorption,
        central,
        concentration,
        response(kind),
        observables=_observed,
        text=__doc__,
        example=EXAMPLE,
    )


indirect_response_I, indirect_response_II, indirect_response_III, indirect_response_IV = map(_model, ("I", "II", "III", "IV"))

__all__ = ["CL", "KA", "V", "indirect_response_I", "indirect_response_II", "indirect_response_III", "indirect_response_IV", "response"]
