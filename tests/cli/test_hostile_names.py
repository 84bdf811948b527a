"""Names that come from files neither steer the terminal, nor break a table, nor lead out of the folder of studies."""

from __future__ import annotations

import pytest

from rbmscape.cli.main import DONE, FAILED, main
from rbmscape.cli.tables import print_table

PLAN = """
name = "{name}"
hidden = [2]
figures = ["likelihood"]
data = {{ source = "bars-and-stripes", options = {{ image_shape = [2, 2] }} }}
recipes.recommended = {{ epochs = 1 }}
likelihood = {{ method = "exact" }}
"""


@pytest.mark.parametrize("name", ["x [/b]", "[red]blood[/red]", r"a\u001b[31mb"])
def test_markup_and_escapes_are_shown_as_they_are(tmp_path, capsys, name):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.format(name=name), encoding="utf-8")
    assert main(["study", str(path), "--out", str(tmp_path / "s"), "--dry-run"]) == DONE
    assert "\x1b[31m" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../evil", "/etc", "a/b", "..", "", " x", r"x\u0007"])
def test_a_study_stays_in_its_folder(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN.format(name=name), encoding="utf-8")
    assert main(["study", "plan.toml"]) == FAILED
    assert "no name of a directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.toml"]


def test_tables_show_cells_as_they_are(capsys):
    print_table("t [/i]", [("[bold]a", "\x1b[2Jb")], ("h [/x]", ""))
    shown = capsys.readouterr().out
    assert "t [/i]" in shown
    assert "[bold]a" in shown
    assert "\\x1b[2Jb" in shown


def test_messages_do_not_steer_the_terminal(capsys):
    assert main(["evaluate", "no\x1b[31msuch"]) == FAILED
    assert "\x1b" not in capsys.readouterr().err
