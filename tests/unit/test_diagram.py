"""Diagrams: valid standalone SVG, every state and flow in it, nothing drawn over anything else."""

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from pkpd import Component, Covariate, Dose, Observable, Param, Signal, State, compose, flow, gain, loss, total
from pkpd.model import available_models, load_model
from pkpd.model.diagram import diagram
from pkpd.model.influence import links, observable_inputs, signal_inputs
from pkpd.model.layers import arrange, cut_cycles, longest_path, spread
from pkpd.model.places import place
from pkpd.model.sketch import sketch, told, wrap

SVG = "{http://www.w3.org/2000/svg}"
MG = "mg"


def rate(name: str, unit: str = "1/h") -> Param:
    return Param(name, 1.0, unit, "a rate", source="assumption: test")


def binding():
    """Everything at once: a loop of three, two routes, a driver of an earlier state, saturable loss, time in a rate, names to escape."""

    def rates(t, y, p, s):
        return total(
            flow("depot", "blood", p.ka * y.depot),
            flow("blood", "tissue", p.k12 * y.blood),
            flow("tissue", "blood", p.k21 * y.tissue),
            flow("tissue", "deep", p.k23 * y.tissue),
            flow("deep", "depot", p.k31 * y.deep * t / (t + p.delay)),
            loss("blood", p.Vmax * y.blood / (p.Km + y.blood)),
            loss("blood", p.ke * y.blood * s.WT / p.WT_ref),
        )

    mass = Component(
        "mass",
        states=tuple(State(n, MG, 'amount < 1 & "more"') for n in ("depot", "blood", "tissue", "deep")),
        params=(
            *map(rate, ("ka", "k12", "k21", "k23", "k31", "ke")),
            rate("Vmax", "mg/h"),
            rate("Km", MG),
            rate("delay", "h"),
            rate("WT_ref", "kg"),
        ),
        rates=rates,
        doses=(Dose("oral", "depot"), Dose("iv", {"blood": 0.9, "tissue": 0.1})),
        covariates=Covariate("WT", "kg", "weight", 70.0),
    )
    growth = Component(
        "growth",
        states=(State("tumour", MG, "size"),),
        params=(rate("grow"), rate("kill", "1/h/mg")),
        reads="deep",
        rates=lambda t, y, p, s: total(gain("tumour", p.grow * y.tumour), loss("tumour", p.kill * y.deep * y.tumour)),
        gives=Signal("burden", MG, "size of the tumour"),
        signals=lambda t, y, p, s: {"burden": y.tumour},
    )
    fever = Component(
        "fever",
        states=State("heat", MG, "heat"),
        params=rate("warm"),
        reads=("burden", "blood"),
        rates=lambda t, y, p, s: total(gain("heat", p.warm * s.burden), loss("heat", p.warm * (y.heat + y.blood))),
    )
    seen = Observable("total", MG, lambda y, p, s: y.blood + s.burden, "all of it")
    return compose("binding", growth, mass, fever, observables=[seen], text="a < b")


MODELS = {name: load_model(name) for name in available_models()} | {"binding": binding()}


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    return MODELS[request.param]


def groups(svg: str, kind: str) -> list[str]:
    """The title of each group of a class."""
    root = ET.fromstring(svg)
    return [g.findtext(f"{SVG}title") or "" for g in root.iter(f"{SVG}g") if g.get("class") == kind]


def test_it_is_standalone_svg_without_scripts_styles_or_links(model):
    root = ET.fromstring(diagram(model))
    assert root.tag == f"{SVG}svg" and root.findtext(f"{SVG}title") == model.name and root.findtext(f"{SVG}desc")
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {"svg", "title", "desc", "g", "rect", "path", "polygon", "circle", "text"}
    assert not any(key.startswith("on") or "href" in key or key in ("id", "style") for e in root.iter() for key in e.attrib)
    paper = root.find(f"{SVG}rect")
    assert paper is not None and (paper.get("fill"), paper.get("width"), paper.get("height")) == (
        "#ffffff",
        root.get("width"),
        root.get("height"),
    )


def test_every_state_flow_gain_loss_and_dose_is_there(model):
    svg = diagram(model)
    assert groups(svg, "state") == [f"{s.name} ({s.unit}): {s.meaning}" for s in model.states]
    terms = links(model)
    flows = [words for title in groups(svg, "flow") for words in title.split("; ")]
    assert sorted(flows) == sorted(told(t) for t in terms if t.source and t.target)
    assert sorted(groups(svg, "gain")) == sorted(told(t) for t in terms if not t.source)
    assert sorted(groups(svg, "loss")) == sorted(told(t) for t in terms if not t.target)
    assert len(groups(svg, "dose")) == sum(len(d.into) for d in model.doses)
    shown = {e.text for e in ET.fromstring(svg).iter(f"{SVG}text")}
    assert set(model.state_names) <= shown


def test_every_parameter_of_a_flow_stands_beside_an_arrow(model):
    words = " ".join(e.text or "" for e in ET.fromstring(diagram(model)).iter(f"{SVG}text")).replace(",", " ").split()
    assert {name for link in links(model) for name in link.inputs.label} <= set(words)


def test_boxes_do_not_touch_and_all_stands_on_the_page(model):
    content = sketch(model)
    places = place(content)
    boxes = {}
    for name, node in content.nodes.items():
        (x, y), (up, down) = places.centre[name], node.room
        boxes[name] = (x - node.width / 2, x + node.width / 2, y - up, y + down)
    for (a, one), (b, two) in combinations(boxes.items(), 2):
        apart = one[1] < two[0] or two[1] < one[0] or one[3] <= two[2] + 1e-6 or two[3] <= one[2] + 1e-6
        assert apart, f"{a} and {b} touch"
    for left, right, top, bottom in boxes.values():
        assert left >= 0 and right <= places.width and top >= 0 and bottom <= places.height
    for points in places.routes.values():
        assert all(0 <= x <= places.width and 0 <= y <= places.height for x, y in points)


def test_arrows_begin_and_end_at_the_edges_of_their_boxes(model):
    content = sketch(model)
    places = place(content)

    def touches(point, name):
        (x, y), node = places.centre[name], content.nodes[name]
        across, along = abs(point[0] - x) - node.width / 2, abs(point[1] - y) - node.height / 2
        return max(across, along) == pytest.approx(0.0, abs=1e-6)

    for arrow, points in places.routes.items():
        ends = points[::-1] if arrow in places.leftward else points
        assert touches(ends[0], arrow.source), arrow.told
        assert arrow in places.joining or touches(ends[-1], arrow.target), arrow.told


def test_text_is_escaped():
    svg = diagram(MODELS["binding"])
    assert "amount &lt; 1 &amp;" in svg and "amount < 1" not in svg


def test_two_compartments_read_from_left_to_right():
    content = sketch(MODELS["two_compartment_oral"])
    places = place(content)
    x = {name: point[0] for name, point in places.centre.items()}
    assert x["depot"] < x["central"] < x["peripheral"]
    assert [a.told for a in places.leftward] == ["peripheral → central: Q, V2"]
    assert [s.label for s in content.nodes["central"].below] == [("CL, V1",)]
    assert content.nodes["central"].observed == ("observed: cp",)


def test_shares_of_a_dose_are_told_at_each_state():
    nodes = sketch(MODELS["carm_trafficking"]).nodes
    assert [s.label for n in ("lung", "blood") for s in nodes[n].above] == [("infusion", "× f_L"), ("infusion", "× (1 − f_L)")]


def test_signals_that_only_feed_signals_are_followed_through():
    content = sketch(MODELS["carm_blood_il6"])
    assert [n for n, node in content.nodes.items() if node.signal] == ["stimulus", "drive"]
    drives = {(a.source, a.target) for a in content.arrows if not a.mass}
    assert drives == {
        *((state, "stimulus") for state in ("lung", "liver", "active")),
        ("stimulus", "Z"),
        ("stimulus", "drive"),
        ("Z", "drive"),
        ("drive", "il6"),
    }
    assert content.bands[0] == ("lung", "blood", "liver", "spleen", "tumour", "active")


def test_what_depends_on_what_is_read_off_the_equations():
    model = MODELS["binding"]
    by_ends = {(t.source, t.target, t.inputs.params): t for t in links(model)}
    assert by_ends["deep", "depot", ("k31", "delay")].inputs.timed
    assert by_ends["blood", None, ("ke", "WT_ref")].inputs.covariates == ("WT",)
    assert by_ends["tumour", None, ("kill",)].drivers == ("deep",)
    assert by_ends[None, "heat", ("warm",)].drivers == ("burden",)
    assert signal_inputs(model)["burden"].states == ("tumour",)
    assert observable_inputs(model)["total"].states == ("blood",) and observable_inputs(model)["total"].signals == ("burden",)


def test_a_term_switched_off_by_a_written_zero_is_not_shown():
    nodes = sketch(MODELS["indirect_response_I"]).nodes  # its loss holds 1 + 0.0 * effect
    assert [s.label for s in nodes["response"].below] == [("kout",)]
    assert [s.label for s in sketch(MODELS["indirect_response_II"]).nodes["response"].above] == [("kout, R0",)]


def test_layers_cycles_and_long_edges():
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")]
    assert cut_cycles(edges) == ([("a", "b"), ("b", "c"), ("a", "c")], [("c", "a")])
    assert longest_path("abcd", [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]) == {"a": 0, "b": 1, "c": 2, "d": 1}
    laid = arrange("abc", edges, dict.fromkeys("abc", (20.0, 20.0)))
    assert [column[0] for column in laid.columns] == ["a", "b", "c"] or "b" in laid.columns[1]
    assert laid.chains["a", "c"][0] == "a" and len(laid.chains["a", "c"]) == 3 and laid.backward == {("c", "a")}


def test_spread_keeps_order_and_room_and_moves_as_little_as_it_can():
    room = dict.fromkeys("abc", (10.0, 10.0))
    assert spread("abc", {"a": 0.0, "b": 50.0, "c": 90.0}, room) == {"a": 0.0, "b": 50.0, "c": 90.0}
    assert spread("abc", dict.fromkeys("abc", 0.0), room) == {"a": -20.0, "b": 0.0, "c": 20.0}


def test_labels_wrap_at_commas():
    assert wrap(()) == () and wrap(("CL", "V")) == ("CL, V",)
    assert wrap(("base_il6", "kout_il6", "gain_il6")) == ("base_il6,", "kout_il6,", "gain_il6")
