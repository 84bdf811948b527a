"""The default step follows the size of the hidden layer, unless somebody sets it."""

from __future__ import annotations

import pytest

from rbmscape import TrainingConfig


@pytest.mark.parametrize(("hidden", "rate"), [(16, 0.4), (500, 0.4), (784, 0.32), (1200, 0.26), (3000, 0.16)])
def test_larger_layers_take_smaller_steps(hidden, rate):
    config = TrainingConfig(n_hidden=hidden)
    assert config.learning_rate == rate
    assert config.usual_rate
    assert TrainingConfig(n_hidden=hidden, optimizer="adam").learning_rate == 1e-3


def test_a_chosen_step_stays():
    config = TrainingConfig(n_hidden=3000, learning_rate=0.3)
    assert config.learning_rate == 0.3
    assert not config.usual_rate
    assert TrainingConfig(**config.model_dump()) == config
