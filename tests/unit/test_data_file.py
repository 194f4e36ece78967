"""Files that are not shipped: found where PKPD_DATA says, or a sentence."""

import pytest

from pkpd import FitError, data_file


def test_a_file_in_the_folder(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "data.csv").write_text("ID\n", encoding="utf-8")
    monkeypatch.setenv("PKPD_DATA", str(tmp_path))
    assert data_file("study/data.csv") == tmp_path / "study" / "data.csv"


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PKPD_DATA", str(tmp_path))
    with pytest.raises(FitError) as caught:
        data_file("study/data.csv")
    assert str(caught.value) == (
        f"study/data.csv was not found: PKPD_DATA names '{tmp_path}', which does not hold it. Name the folder that holds it in the environment "
        "variable PKPD_DATA (where it comes from stands at the top of the fit file)."
    )


def test_a_variable_that_is_not_set(monkeypatch):
    monkeypatch.delenv("PKPD_DATA", raising=False)
    with pytest.raises(FitError) as caught:
        data_file("data.csv")
    assert str(caught.value).startswith("data.csv was not found: PKPD_DATA is not set. ")
