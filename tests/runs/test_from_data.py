"""What is not said of a recipe follows from the data, and for tens of thousands of rows nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.errors import ConfigError
from rbmscape.runs.from_data import GAP, middle_share


def rows(n, units=12, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, units)).astype(np.uint8)


def wells(n, units=64, share=0.5):
    generator = np.random.default_rng(1)
    p = np.where(generator.random((n, 1)) < share, 0.9, 0.1)
    return rs.Dataset.from_array((generator.random((n, units)) < p).astype(np.uint8))


def test_nothing_changes_for_mnist():
    mnist = rs.load_dataset("mnist")
    assert rs.TrainingConfig.recommended(mnist) == rs.TrainingConfig.recommended() == rs.TrainingConfig()
    changed = rs.TrainingConfig.recommended(mnist, n_hidden=100)
    assert changed == rs.TrainingConfig(n_hidden=100)


def test_few_rows_get_enough_updates_and_few_units():
    recipe = rs.TrainingConfig.recommended(rs.Dataset.from_array(rows(200)))
    assert (recipe.n_hidden, recipe.batch_size, recipe.n_chains, recipe.l2) == (20, 20, 200, 0.0125)
    assert recipe.epochs * recipe.updates_per_epoch(200) == 3000
    assert (recipe.method, recipe.learning_rate) == ("pcd", 0.4)
    more = rs.TrainingConfig.recommended(rs.Dataset.from_array(rows(5000)))
    assert (more.n_hidden, more.batch_size, more.l2) == (500, 500, 0.0005)


def test_what_is_given_is_kept_and_the_rest_follows():
    data = rs.Dataset.from_array(rows(200))
    recipe = rs.TrainingConfig.recommended(data, batch_size=100, optimizer="adam", l2=0.0)
    assert (recipe.batch_size, recipe.epochs, recipe.l2) == (100, 1500, 0.0)
    assert recipe.learning_rate == rs.TrainingConfig(optimizer="adam").learning_rate
    assert rs.TrainingConfig.recommended(wells(300), method="pcd").method == "pcd"
    assert rs.TrainingConfig.recommended(wells(300), online_likelihood=True).method == "pcd"


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_separate_groups_are_trained_in_equilibrium(share):
    recipe = rs.TrainingConfig.recommended(wells(1000, share=share))
    assert (recipe.method, recipe.gibbs_steps) == ("ptt", 2)
    assert recipe.learning_rate == rs.TrainingConfig(method="ptt").learning_rate


def test_a_gap_is_found_where_there_is_one():
    assert middle_share(wells(1000)) < 0.01 < GAP
    generator = np.random.default_rng(2)
    smooth = (generator.random((2000, 64)) < 1 / (1 + np.exp(-2 * generator.normal(size=(2000, 1))))).astype(np.uint8)
    assert middle_share(rs.Dataset.from_array(smooth)) > 2 * GAP
    assert middle_share(rs.load_dataset("mnist", n_train=5000)) > 0.15
    assert middle_share(rs.Dataset.from_array(np.ones((30, 4), dtype=np.uint8))) == 1.0


def test_training_without_a_recipe_takes_that_of_the_data(tmp_path):
    data = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    run = rs.train(data, directory=tmp_path / "library", until_update=2, progress=False)
    assert run.config == rs.TrainingConfig.recommended(data) != rs.TrainingConfig()
    words = ["train", "bars-and-stripes", "--image-shape", "3x3", "--epochs", "2", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "line")]) == 0
    assert rs.Run.open(tmp_path / "line").config == rs.TrainingConfig.recommended(data, epochs=2)
    again = rs.train(data, init=run.load(), until_update=1, progress=False)
    assert (again.config.method, again.config.n_hidden) == ("pcd", run.config.n_hidden)


def test_values_need_names():
    with pytest.raises(ConfigError, match="recommended takes a Dataset, found int"):
        rs.TrainingConfig.recommended(100)
