"""Event tables by hand, each for one rule of USERS.md section 4 that a random table may miss."""

from __future__ import annotations

from tests.oracle import Record

LOOK = [Record(t) for t in (0.25, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0)]


def _dose(time: float, amt: float = 4.0, **more) -> Record:
    return Record(time, more.pop("evid", 1), amt, into=more.pop("into", 1), **more)


def _looked_at(*records: Record, looks: tuple[float, ...] = (0.25, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0)) -> list[Record]:
    """The records and a look at each of the times, looks after records of one time."""
    return sorted([*records, *(Record(t) for t in looks)], key=lambda r: r.time)


EDGES: dict[str, list[Record]] = {
    "lag equal to II at steady state": _looked_at(_dose(0.0, ss=1, ii=2.0, lag=2.0)),
    "lag equal to II at steady state, infusion": _looked_at(_dose(0.0, ss=1, ii=2.0, lag=2.0, rate=8.0)),
    "lag equal to II at steady state, infusion as long as II": _looked_at(_dose(0.0, ss=1, ii=2.0, lag=2.0, rate=2.0)),
    "lag equal to II at steady state, overlapping infusions": _looked_at(_dose(0.0, ss=1, ii=2.0, lag=2.0, rate=0.8)),
    "SS 2 with a lag on top of other doses": _looked_at(_dose(-1.0, 3.0, rate=1.0), _dose(0.5, ss=2, ii=3.0, lag=1.5)),
    "SS 2 with a lag equal to II": _looked_at(_dose(-1.0, 3.0), _dose(0.5, ss=2, ii=2.0, lag=2.0, rate=4.0)),
    "SS 2 twice": _looked_at(_dose(0.0, ss=1, ii=3.0, rate=1.0), _dose(1.0, 2.0, ss=2, ii=1.5, into=0), _dose(2.0, 2.0, ss=2, ii=1.0)),
    "a lag crosses a later dose": _looked_at(_dose(0.0, lag=2.5), _dose(1.0, 2.0), _dose(2.0, 1.0, lag=0.25)),
    "a lag crosses an earlier row's additional doses": _looked_at(_dose(0.0, 1.0, addl=4, ii=1.0), _dose(0.5, 3.0, lag=2.25)),
    "a lagged dose lands on an observation": [_dose(0.0, lag=2.0), Record(1.0), Record(2.0), Record(2.0), Record(3.0)],
    "a lagged dose lands on a dose and an observation before it": [
        _dose(0.0, lag=2.0),
        Record(2.0),
        _dose(2.0, 1.0),
        Record(2.0),
        Record(3.0),
    ],
    "an additional dose lands on an observation": [_dose(0.0, addl=2, ii=2.0), Record(2.0), Record(4.0), Record(5.0)],
    "an additional dose lands on rounded times": [_dose(0.0, addl=3, ii=0.1), Record(0.1), Record(0.2), Record(0.3), Record(1.0)],
    "an additional lagged dose lands on rows": [_dose(0.0, addl=2, ii=2.0, lag=1.0), Record(1.0), Record(3.0), Record(5.0), Record(6.0)],
    "a lagged dose lands on rounded times": [
        _dose(0.1, lag=0.2),
        Record(0.3),
        _dose(5.4, addl=1, ii=1.5, lag=1.0),
        Record(7.9),
        Record(9.0),
    ],
    "an observation before and after a dose": [_dose(0.0), Record(2.0), _dose(2.0), Record(2.0), Record(4.0)],
    "a lagged dose pending at EVID 3": _looked_at(_dose(0.0, lag=2.5), Record(2.0, 3), looks=(1.0, 2.5, 3.0)),
    "a lagged dose arriving exactly at EVID 3": _looked_at(_dose(0.0, lag=2.0), Record(2.0, 3), looks=(1.0, 2.5, 3.0)),
    "a lagged infusion arriving exactly at EVID 3": _looked_at(_dose(0.0, lag=2.0, rate=1.0), Record(2.0, 3), looks=(1.0, 2.5, 3.0)),
    "a lagged dose pending at EVID 4": _looked_at(_dose(0.0, lag=2.5), _dose(2.0, 1.0, evid=4), looks=(1.0, 2.5, 3.0)),
    "a lagged dose pending at SS 1": _looked_at(_dose(0.0, lag=2.5), _dose(2.0, 1.0, ss=1, ii=2.0), looks=(1.0, 2.5, 3.0)),
    "a lagged dose pending at SS 2 arrives": _looked_at(_dose(0.0, lag=2.5), _dose(2.0, 1.0, ss=2, ii=2.0), looks=(1.0, 2.5, 3.0)),
    "additional doses pending at EVID 3": _looked_at(_dose(0.0, addl=5, ii=1.0), Record(2.0, 3), looks=(1.5, 2.5, 4.0)),
    "additional doses pending at EVID 4 with its own": _looked_at(_dose(0.0, addl=5, ii=1.0), _dose(2.5, 1.0, evid=4, addl=2, ii=1.5)),
    "additional doses pending at SS 1 with its own": _looked_at(_dose(0.0, addl=5, ii=1.0), _dose(2.5, 1.0, ss=1, addl=2, ii=1.5)),
    "EVID 3 between a lagged dose and its additional one": _looked_at(_dose(0.0, addl=1, ii=2.0, lag=1.5), Record(2.5, 3)),
    "a lagged dose of a row after EVID 3 at the same time": [
        _dose(0.0),
        Record(1.0, 3),
        _dose(1.0, 2.0, lag=1.0),
        Record(1.5),
        Record(2.0),
    ],
    "a lagged dose of a row before EVID 3 at the same time": [
        _dose(0.0),
        _dose(1.0, 2.0, lag=1.0),
        Record(1.0, 3),
        Record(1.5),
        Record(2.0),
    ],
    "a dose of a row before EVID 4 at the same time": [_dose(1.0, 2.0), _dose(1.0, 3.0, evid=4), Record(1.0), Record(2.0)],
    "an infusion of a row before SS 1 at the same time": [
        _dose(1.0, 2.0, rate=1.0),
        _dose(1.0, 3.0, ss=1, ii=2.0),
        Record(1.0),
        Record(2.0),
    ],
    "a dose of a row after SS 1 at the same time": [_dose(1.0, 3.0, ss=1, ii=2.0), _dose(1.0, 2.0, rate=1.0), Record(1.0), Record(2.0)],
    "an infusion running at EVID 3": _looked_at(_dose(0.0, rate=1.0), Record(2.0, 3)),
    "an infusion running at EVID 4 with one of its own": _looked_at(_dose(0.0, rate=1.0), _dose(2.0, 2.0, evid=4, rate=2.0)),
    "an infusion running at SS 1": _looked_at(_dose(0.0, rate=1.0), _dose(2.0, 2.0, ss=1, ii=3.0)),
    "an infusion running at SS 2 goes on": _looked_at(_dose(0.0, rate=1.0), _dose(2.0, 2.0, ss=2, ii=3.0)),
    "an infusion ends exactly at EVID 4": _looked_at(_dose(0.0, rate=2.0), _dose(2.0, 2.0, evid=4)),
    "overlapping steady-state infusions cut by EVID 3": _looked_at(_dose(0.0, ss=1, ii=1.0, rate=1.0), Record(1.5, 3)),
    "overlapping steady-state infusions cut by SS 1": _looked_at(_dose(0.0, ss=1, ii=1.0, rate=1.0), _dose(1.5, 2.0, ss=1, ii=2.0)),
    "a steady-state dose pending by its lag at EVID 3": _looked_at(_dose(0.0, ss=1, ii=4.0, lag=3.0), Record(2.0, 3)),
    "EVID 4 and SS 1 with a lag": _looked_at(_dose(0.0, rate=1.0), _dose(1.0, 2.0, evid=4, ss=1, ii=3.0, lag=2.0, addl=1)),
    "EVID 4 and SS 2": _looked_at(_dose(0.0, rate=1.0), _dose(1.0, 2.0, evid=4, ss=2, ii=3.0, rate=0.5)),
    "SS 1 with additional doses": _looked_at(_dose(0.0, ss=1, ii=1.5, addl=3)),
    "modelled rate": _looked_at(_dose(0.0, rate=-1.0, speed=1.6)),
    "modelled rate with F and additional doses": _looked_at(_dose(0.0, rate=-1.0, speed=1.6, f=0.5, addl=2, ii=1.0, lag=0.5)),
    "modelled rate at steady state, overlap by F": _looked_at(_dose(0.0, rate=-1.0, speed=1.0, f=1.5, ss=1, ii=2.0)),
    "modelled duration with F": _looked_at(_dose(0.0, rate=-2.0, duration=2.5, f=0.5)),
    "modelled duration at steady state, longer than II": _looked_at(_dose(0.0, rate=-2.0, duration=5.5, f=0.5, ss=1, ii=2.0, lag=1.0)),
    "F makes a given rate overlap at steady state": _looked_at(_dose(0.0, rate=4.0, f=5.0, ss=1, ii=2.0)),
    "F makes a given rate end before II": _looked_at(_dose(0.0, rate=1.0, f=0.25, ss=1, ii=2.0)),
    "F makes a given rate as long as II": _looked_at(_dose(0.0, rate=1.0, f=0.5, ss=1, ii=2.0)),
    "DUR with F": _looked_at(_dose(0.0, dur=2.0, f=0.5)),
    "a constant infusion at steady state, after which nothing follows": _looked_at(Record(0.0, 1, 0.0, 2.0, ss=1, into=1)),
    "a constant infusion drops what is pending": _looked_at(
        _dose(0.0, rate=1.0), _dose(0.5, lag=2.0), Record(1.0, 1, 0.0, 2.0, ss=1, into=1)
    ),
    "EVID 2 changes nothing": [_dose(0.0), Record(1.0, 2), Record(1.0), Record(2.0, 2), Record(3.0)],
    "nothing but looks": LOOK,
    "only a reset": [Record(1.0, 3), Record(2.0)],
    "two equal doses at one time": [_dose(1.0), _dose(1.0, into=0), Record(1.0), Record(2.0)],
    "before time zero": _looked_at(_dose(-5.0, addl=2, ii=2.0, lag=0.5), looks=(-5.0, -4.5, -2.5, 0.0, 2.0)),
}
