"""`pkpd identify FITFILE`."""

from tests.cli import FIT_FILE, RECORDS, told


def test_identify_says_the_verdict_first_then_the_table(tmp_path, capsys):
    (tmp_path / "records.csv").write_text(RECORDS)
    (tmp_path / "tiny.py").write_text(FIT_FILE)
    code, out, _ = told(capsys, "identify", tmp_path / "tiny.py")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "Identified at the prior medians: the rows respond to 1 of 1 directions and tell more than the priors of 1."
    assert lines[2:4] == ["Expected posterior/prior sd:", "parameter  prior median  unit  prior sd   all  SE %"]
    assert [line.split()[0] for line in lines[4:6]] == ["CL", "sigma_cp"]
    assert lines[-1].split() == ["all", "3", "1", "1", "1"]
