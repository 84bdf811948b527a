from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError
from rbmscape.runs.config import recorded_config
from rbmscape.runs.optimizers import OPTIMIZERS


def test_recipes():
    paper = rs.TrainingConfig.paper()
    assert (paper.gradient, paper.optimizer, paper.learning_rate, paper.gibbs_steps) == ("plain", "adam", 1e-3, 500)
    assert (paper.epochs, paper.batch_size, paper.weight_std, paper.averaging) == (100, 500, 0.01, 0)
    assert rs.TrainingConfig.paper(gibbs_steps=10).gibbs_steps == 10
    assert rs.TrainingConfig.recommended(n_hidden=7).n_hidden == 7


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_hiden": 3}, "no key 'n_hiden'; did you mean 'n_hidden'"),
        ({"zzz": 3}, "no key 'zzz'"),
        ({"n_hidden": 0}, "n_hidden cannot be 0"),
        ({"method": "pdc"}, "method cannot be 'pdc'"),
        ({"learning_rate": float("nan")}, "learning_rate cannot be nan"),
        ({"learning_rate": -0.1}, "learning_rate cannot be -0.1"),
        ({"momentum": 1.0}, "momentum cannot be 1.0"),
        ({"epochs": 5, "checkpoint_epochs": (2, 9)}, "epoch 9 is after the last one, 5"),
        ({"seed": -1}, "seed cannot be -1"),
        ({"l1": float("inf")}, "l1 cannot be inf"),
        ({"n_hidden": "5"}, "n_hidden cannot be '5': input should be a valid integer"),
        ({"n_hidden": 5.0}, "n_hidden cannot be 5.0: input should be a valid integer"),
        ({"epochs": True}, "epochs cannot be True: input should be a valid integer"),
        ({"learning_rate": "0.1"}, "learning_rate cannot be '0.1': input should be a valid number"),
        ({"checkpoint_epochs": 5}, "checkpoint_epochs cannot be 5: input should be a valid tuple"),
        ({"optimizer": "sdg"}, "optimizer cannot be 'sdg': input should be 'sgd', 'nesterov', 'adam' or 'rmsprop'"),
        ({"optimizer": "nesterov", "momentum": 0.0}, "needs a momentum above 0, found 0.0; leave it out for 0.9"),
    ],
)
def test_impossible_values_are_refused_in_one_sentence(values, words):
    with pytest.raises(ConfigError, match=words) as caught:
        rs.TrainingConfig(**values)
    assert "\n" not in str(caught.value)


def test_a_config_survives_json_and_is_frozen():
    config = rs.TrainingConfig(epochs=9, checkpoint_epochs=(3, 9), adam_betas=(0.5, 0.9))
    assert rs.TrainingConfig.from_mapping(config.model_dump(mode="json")) == config
    with pytest.raises(ValueError, match="frozen"):
        config.epochs = 3


def test_replaced_values_are_checked():
    assert rs.TrainingConfig().replace(epochs=3).epochs == 3
    with pytest.raises(ConfigError, match="batch_size"):
        rs.TrainingConfig().replace(batch_size=0)


def test_checkpoints_are_dense_early_and_include_first_and_last():
    config = rs.TrainingConfig(epochs=20)
    updates = config.checkpoint_updates(120)
    assert updates[:6] == (0, 1, 2, 3, 4, 6)
    assert updates[-1] == 2400
    assert sum(update <= 120 for update in updates) >= config.early_checkpoints
    assert all(update % 120 == 0 for update in updates if update > 120)
    assert rs.TrainingConfig(epochs=0).checkpoint_updates(120) == (0,)
    assert rs.TrainingConfig(epochs=3, early_checkpoints=0, checkpoint_epochs=(2,)).checkpoint_updates(10) == (
        0,
        20,
        30,
    )
    assert rs.TrainingConfig(epochs=2).checkpoint_updates(1) == (0, 1, 2)


@pytest.mark.parametrize(("n_train", "updates"), [(1000, 10), (1099, 10), (100, 1), (99, 1), (1, 1)])
def test_updates_per_epoch_leave_out_what_does_not_fill_a_minibatch(n_train, updates):
    assert rs.TrainingConfig(batch_size=100).updates_per_epoch(n_train) == updates


def test_what_is_not_given_follows_the_optimizer():
    """A step of 0.8, which suits SGD, ruins a training with Adam."""
    rates = {name: rs.TrainingConfig(optimizer=name).learning_rate for name in OPTIMIZERS}
    assert rates == {"sgd": 0.8, "nesterov": 0.08, "adam": 1e-3, "rmsprop": 1e-3}
    recommended = rs.TrainingConfig.recommended()
    assert recommended.replace(optimizer="adam").learning_rate == 1e-3
    assert recommended.replace(epochs=3).replace(optimizer="adam").replace(optimizer="sgd") == recommended.replace(
        epochs=3
    )
    assert rs.TrainingConfig.paper(optimizer="sgd").learning_rate == 0.8
    nesterov = recommended.replace(optimizer="nesterov")
    assert (nesterov.momentum, nesterov.replace(optimizer="sgd").momentum) == (0.9, 0.0)


def test_what_is_given_does_not_follow():
    given = rs.TrainingConfig(learning_rate=0.8)
    assert given.replace(optimizer="adam").learning_rate == 0.8
    assert rs.TrainingConfig.paper(learning_rate=2e-3).replace(optimizer="sgd").learning_rate == 2e-3
    assert given.replace(learning_rate=0.3).replace(optimizer="adam").learning_rate == 0.3


def test_what_is_not_given_survives_plans_and_records():
    plan = tomllib.loads('hidden = [3]\nrecipes.a = {}\nrecipes.b = {optimizer = "adam"}\n')
    study = rs.StudyConfig.from_mapping(plan)
    rates = {key.recipe: study.training(key).learning_rate for key in study.run_keys()}
    assert rates == {"a": 0.8, "b": 1e-3}
    record = json.loads(json.dumps(rs.TrainingConfig(optimizer="nesterov").model_dump(mode="json")))
    assert (record["learning_rate"], record["momentum"]) == (0.08, 0.9)
    assert recorded_config(record).replace(optimizer="adam").learning_rate == 1e-3
    assert recorded_config(record | {"learning_rate": 0.07}).replace(optimizer="adam").learning_rate == 0.07


def test_the_docstring_describes_every_value_in_a_sentence_and_names_the_choices():
    text = " ".join((rs.TrainingConfig.__doc__ or "").split())
    for name, field in rs.TrainingConfig.model_fields.items():
        assert field.description, name
        assert field.description[0].isupper(), name
        assert field.description.endswith("."), name
        assert f"{name} : " in text
        assert " ".join(field.description.split()) in text
    assert 'optimizer : "sgd", "nesterov", "adam" or "rmsprop". ' in text


@pytest.mark.parametrize(
    "config",
    [
        rs.TrainingConfig(),
        rs.TrainingConfig.paper(optimizer="rmsprop"),
        rs.TrainingConfig(optimizer="nesterov", momentum=0.5, checkpoint_epochs=(1, 2)),
    ],
)
def test_the_text_of_a_recipe_is_one_line_that_makes_it_again(config):
    text = repr(config)
    assert str(config) == text
    assert "\n" not in text
    assert eval(text, {"TrainingConfig": rs.TrainingConfig}) == config
    assert repr(rs.TrainingConfig(learning_rate=0.3)) == "TrainingConfig(learning_rate=0.3)"


def test_numbers_of_numpy_and_torch_become_plain_ones():
    config = rs.TrainingConfig(
        n_hidden=np.int64(5), learning_rate=np.float32(0.5), epochs=torch.tensor(9), online_likelihood=np.bool_(True),
        checkpoint_epochs=[np.int64(3), 9], adam_betas=(np.float64(0.5), np.float32(0.25)), method=np.str_("pcd"),
    )  # fmt: skip
    assert rs.TrainingConfig.from_mapping(json.loads(json.dumps(config.model_dump(mode="json")))) == config
    assert [type(config.n_hidden), type(config.learning_rate), type(config.adam_betas[1])] == [int, float, float]


def test_a_record_with_a_momentum_that_nothing_read_still_opens():
    record = rs.TrainingConfig(optimizer="adam").model_dump(mode="json") | {"momentum": 0.5}
    assert recorded_config(record) == rs.TrainingConfig(optimizer="adam", clip=record["clip"])
