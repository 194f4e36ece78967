"""The example in the README is short, and runs as a reader would run it: from the top of the checkout."""

import re


def example(root) -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```", (root / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return block


def test_the_example_is_short(root):
    lines = [line for line in example(root).splitlines() if line.strip()]
    assert len(lines) <= 25


def test_the_example_runs(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    exec(compile(example(root), "README.md", "exec"), {"__name__": "readme"})
    told = capsys.readouterr().out
    assert "132 observations" in told and "volume of distribution" in told
    assert "Regimen(160 mg into oral at 0, 12, 24, 36, 48, 60 h)" in told
    last = float(told.split()[-1])
    assert 3.3 < last < 3.4  # just under the trough at steady state, 3.39 (docs/examples/what_if_regimens.py)
