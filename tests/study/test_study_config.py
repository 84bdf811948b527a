"""Plans: what follows from them, and what they refuse."""

from __future__ import annotations

import itertools
import json

import pytest

from rbmscape.errors import ConfigError, DataError
from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig, derived_seed, fingerprint
from rbmscape.study.profiles import PROFILES, profile


def test_a_plan_survives_json():
    for name in PROFILES:
        plan = profile(name)
        assert StudyConfig.from_mapping(json.loads(json.dumps(plan.model_dump(mode="json")))) == plan


def test_every_run_has_its_own_seed_and_recipes_share_them(tiny_plan):
    both = tiny_plan.replace(recipes={"a": {}, "b": {"optimizer": "adam", "learning_rate": 0.001}})
    seeds = {key: both.training(key).seed for key in both.run_keys()}
    assert len(seeds) == 2 * 2 * 2
    assert len(set(seeds.values())) == 4
    for key, seed in seeds.items():
        assert seeds[type(key)("a", key.hidden, key.replica)] == seed


def test_a_scope_keeps_a_recipe_to_some_sizes_and_replicas(tiny_plan):
    some = tiny_plan.replace(recipes={"a": {}, "b": {"method": "cd"}}, scopes={"b": {"hidden": (2,), "replicas": 1}})
    keys = [(key.recipe, key.hidden, key.replica) for key in some.run_keys()]
    assert keys == [("a", 2, 0), ("a", 2, 1), ("a", 6, 0), ("a", 6, 1), ("b", 2, 0)]


def test_seeds_do_not_depend_on_which_other_sizes_are_in_the_plan(tiny_plan):
    larger = tiny_plan.replace(hidden=(2, 3, 6), replicas=5)
    of_larger = {key: larger.training(key) for key in larger.run_keys()}
    for key in tiny_plan.run_keys():
        assert tiny_plan.training(key) == of_larger[key]


def test_likelihood_checkpoints_are_spread_and_keep_the_last(tiny_plan):
    config = next(tiny_plan.training(key) for key in tiny_plan.run_keys())
    config = config.replace(checkpoint_epochs=tuple(range(1, 31)))
    assert LikelihoodPlan().updates(config, 2) == tuple(range(2, 61, 2))
    few = LikelihoodPlan(n_checkpoints=5).updates(config, 2)
    assert len(few) == 5
    assert few[-1] == 60
    gaps = [b - a for a, b in itertools.pairwise(few)]
    assert max(gaps) - min(gaps) <= 4
    assert LikelihoodPlan(n_checkpoints=1).updates(config, 2) == (60,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hiden": (3,)}, "no key 'hiden'; did you mean 'hidden'"),
        ({}, "lacks 'hidden'"),
        ({"hidden": ()}, "hidden"),
        ({"hidden": (3, 3)}, "more replicas"),
        ({"hidden": (0,)}, "greater than or equal to 1"),
        ({"hidden": (3,), "replicas": 0}, "replicas"),
        ({"hidden": (3,), "likelihood": {"method": "exat"}}, "method cannot be 'exat'"),
        ({"hidden": (3,), "likelihood": {"n_beta": 3}}, "did you mean 'n_betas'"),
        (
            {"hidden": (3,), "likelihood": {"method": "ais", "final": {"method": "trajectory"}}},
            "final.method = 'trajectory' does not go with method = 'ais'",
        ),
        (
            {"hidden": (3,), "likelihood": {"method": "trajectory", "final": {"method": "ais"}}},
            "a bracket alone can stand beside it",
        ),
        ({"hidden": (3,), "likelihood": {"budget": 1e9}}, "for the methods 'bracket' and 'trajectory'"),
        ({"hidden": (3,), "recipes": {"a": {"n_hidden": 3}}}, "which the study sets itself"),
        ({"hidden": (3,), "recipes": {"a": {"epoch": 3}}}, "did you mean 'epochs'"),
        ({"hidden": (3,), "recipes": {"a/b": {}}}, "letters, digits"),
        ({"hidden": (3,), "recipes": {}}, "recipes"),
        ({"hidden": (3,), "seed": -1}, "seed"),
        ({"hidden": (3,), "scopes": {"x": {}}}, "belongs to no recipe"),
        ({"hidden": (3,), "recipes": {"a": {}, "b": {}}, "scopes": {"b": {"hidden": (4,)}}}, "not one of the study's"),
        ({"hidden": (3,), "recipes": {"a": {}}, "scopes": {"a": {"replicas": 1}}}, "first recipe"),
    ],
)
def test_impossible_plans_are_refused_with_the_cure(values, message):
    with pytest.raises(ConfigError, match=message):
        StudyConfig(**values)


def test_unknown_names_are_refused(tiny_plan):
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        profile("quik")
    with pytest.raises(DataError, match="mnist"):
        DataPlan(source="mnits").load()
    with pytest.raises(ConfigError, match="no option 'n_trian'; did you mean 'n_train'"):
        DataPlan(source="mnist", options={"n_trian": 3}).load()


def test_what_may_share_a_directory(tiny_plan):
    assert tiny_plan.conflict(tiny_plan.replace(hidden=(4,), replicas=7, figures=())) is None
    assert "seed is 3, not 0" in tiny_plan.conflict(tiny_plan.replace(seed=3))
    assert "recipe 'recommended'" in tiny_plan.conflict(tiny_plan.replace(recipes={"recommended": {}}))
    assert "data are 'mnist'" in tiny_plan.conflict(tiny_plan.replace(data={"source": "mnist"}))


def test_fingerprints_see_values_and_not_the_order_of_keys():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": (1, 2), "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert derived_seed(0, "x") != derived_seed(0, "y")
    assert derived_seed(0, "x") != derived_seed(1, "x")


def test_a_plan_of_one_size_that_names_no_figures_has_none_that_compares_sizes(tiny_plan):
    alone, both = (tiny_plan.replace(figures=None, hidden=hidden) for hidden in ((2,), (2, 6)))
    left_out = {entry.name for entry in both.figure_entries} - {entry.name for entry in alone.figure_entries}
    assert left_out == {"symmetry_breaking_sizes"}
    named = alone.replace(figures=("symmetry_breaking_sizes",))
    assert [entry.name for entry in named.figure_entries] == ["symmetry_breaking_sizes"]
