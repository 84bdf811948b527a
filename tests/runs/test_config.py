from __future__ import annotations

import pytest

import rbmscape as rs
from rbmscape.errors import ConfigError


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
