"""Every value of a recipe can be given on the command line, with its own sentence, choices and limits."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

import pytest
from typer.testing import CliRunner

import rbmscape as rs
from rbmscape.cli.main import build, main
from rbmscape.cli.recipe_options import option_name

FIELDS = rs.TrainingConfig.model_fields
NEEDS = {name: {"method": "ptt"} for name in ("reservoir", "freeze_below", "reject_below")}
NEEDS["patience"] = {"method": "ptt"}
LISTS = {"reservoir": ("6000", 6000), "adam_betas": ("0.5,0.75", (0.5, 0.75)), "checkpoint_epochs": ("1,5", (1, 5))}


def another(name):
    """A value that is not the default, as it is typed and as the recipe holds it."""
    field, default = FIELDS[name], getattr(rs.TrainingConfig(), name)
    if name in LISTS:
        return LISTS[name]
    if get_origin(field.annotation) is Literal:
        choice = next(word for word in get_args(field.annotation) if word != default)
        return choice, choice
    value = default + 1 if field.annotation is int else default / 2 + 0.1
    return str(value), value


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Recipes that the command line would train."""
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rbmscape.cli.train._train", lambda _dataset, config, *_, **__: seen.append(config))

    def ask(*words):
        assert main(["train", "bars-and-stripes", *words]) == 0
        return seen[-1]

    return ask


@pytest.mark.parametrize("name", FIELDS)
def test_every_value_of_the_recipe_is_an_option(asked, name):
    if FIELDS[name].annotation is bool:
        typed, value = [f"{option_name(name)}"], True
        assert getattr(asked(f"--no-{name.replace('_', '-')}"), name) is False
    else:
        word, value = another(name)
        typed = [option_name(name), word]
    needed = NEEDS.get(name, {})
    config = asked(*typed, *(word for key, choice in needed.items() for word in (option_name(key), choice)))
    assert getattr(config, name) == value != getattr(rs.TrainingConfig(), name)
    assert config == rs.TrainingConfig.recommended(rs.load_dataset("bars-and-stripes"), **{name: value}, **needed)
    assert config.model_fields_set >= {name, *needed}


def test_historic_short_names():
    names = {name: option_name(name) for name in ("n_hidden", "gibbs_steps", "n_chains", "epochs")}
    assert names == {"n_hidden": "--hidden", "gibbs_steps": "--steps", "n_chains": "--chains", "epochs": "--epochs"}


def test_what_is_not_given_follows_the_optimizer(asked):
    assert asked("--optimizer", "adam").learning_rate == 1e-3
    assert asked("--optimizer", "nesterov").momentum == 0.9
    assert asked("--recipe", "paper", "--optimizer", "sgd").learning_rate == 0.8
    assert asked("--optimizer", "adam", "--learning-rate", "0.8").learning_rate == 0.8


def test_help_tells_each_value_in_the_sentence_of_the_recipe():
    done = CliRunner(env={"COLUMNS": "200"}).invoke(build(["train"]), ["train", "--help"])
    text = " ".join(done.output.replace("│", " ").split())
    for name, field in FIELDS.items():
        assert option_name(name) in text
        assert " ".join((field.description or "?").split()) in text, name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--adam-betas", "0.5"], "adam_betas"),
        (["--adam-betas", "0.5,x"], "0.9,0.999"),
        (["--decay-start", "1.5"], "--decay-start"),
        (["--optimizer", "sdg"], "rmsprop"),
        (["--momentum", "1"], "momentum"),
    ],
)
def test_impossible_values_are_wrong_usage(words, message, capsys):
    assert main(["train", "bars-and-stripes", *words]) == 2
    assert message in capsys.readouterr().err
