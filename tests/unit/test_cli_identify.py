"""`pkpd identify FITFILE`."""

from tests.cli import FIT_FILE, RECORDS, told


def test_identify_says_the_verdict_first_then_the_table(tmp_path, capsys):
    (tmp_path / "records.csv").write_text(RECORDS)
    (tmp_path / "tiny.py").write_text(FIT_FILE)
    code, out, _ = told(capsys, "identify", tmp_path / "tiny.py", "--out", tmp_path / "out")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "Identified at the prior medians: the rows respond to 1 of 1 directions and tell more than the priors of 1."
    assert lines[2:4] == ["Expected posterior/prior sd:", "parameter  prior median  unit  prior sd   all  SE %"]
    assert [line.split()[0] for line in lines[4:6]] == ["CL", "sigma_cp"]
    assert lines[-2].split() == ["all", "3", "1", "1", "1"] and lines[-1] == f"Table, picture and verdict: {tmp_path / 'out'}"
    assert (tmp_path / "out" / "verdict.txt").read_text() == lines[0] + "\n"
    assert (tmp_path / "out" / "information.csv").read_text().splitlines()[0].startswith("name,unit,value,prior_sd,")
    assert (tmp_path / "out" / "information.png").stat().st_size > 5000
