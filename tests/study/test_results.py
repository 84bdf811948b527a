"""What a study leaves: Datasets over all axes with units and provenance, and tidy tables of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rbmscape as rs
from rbmscape.likelihood import log_likelihood
from rbmscape.study.collect import likelihood_dataset
from rbmscape.study.config import DataPlan, LikelihoodMethod, LikelihoodPlan, StudyConfig, fingerprint
from rbmscape.study.graph import build_graph
from rbmscape.study.study import run_study
from rbmscape.study.tables import long_table, write_tables


@pytest.fixture(scope="module")
def study(tiny_plan, tmp_path_factory):
    run_study(tiny_plan, tmp_path_factory.mktemp("results") / "tiny", progress=False)
    return rs.open_study(next(tmp_path_factory.getbasetemp().glob("results*/tiny")))


def test_metrics_of_training_over_all_axes(study):
    dataset = study.result("training")
    assert set(dataset.sizes) == {"recipe", "hidden", "replica", "update", "mode"}
    for key, run in study.runs.items():
        point = dataset.sel(recipe=key.recipe, hidden=key.hidden, replica=key.replica)
        for row in run.rows:
            here = point.sel(update=row["update"])
            assert float(here.pseudo_log_likelihood) == row["pseudo_log_likelihood"]
            assert float(here.epoch) == row["epoch"]
            found = here.singular_value.to_numpy()
            np.testing.assert_array_equal(found[np.isfinite(found)], row["singular_values"])
    assert dataset.singular_value.sizes["mode"] == 6
    assert int(dataset.mode[0]) == 1
    for name, variable in dataset.data_vars.items():
        assert variable.attrs["units"], name


@pytest.mark.parametrize("name", ["training", "likelihood", "gallery"])
def test_results_say_where_they_come_from(study, name):
    attrs = study.result(name).attrs
    assert attrs["study"] == "tiny"
    assert attrs["seed"] == 0
    assert attrs["configuration_hash"] == fingerprint(study.config.model_dump(mode="json"))
    assert attrs["data_fingerprint"] == study.info["data"]["fingerprint"]
    assert attrs["wall_time_seconds"] >= 0.0
    assert {"rbmscape_version", "torch_version", "processor", "gpu", "threads", "created"} <= attrs.keys()


def test_brackets_and_single_estimates_share_a_dataset():
    place = {"recipe": "a", "hidden": 3, "replica": 0}
    one = place | {"update": 1, "epoch": 0.5, "value": -4.0, "stderr": 0.1, "ess": 7.0, "spread": 0.2}
    two = place | {"update": 2, "epoch": 1.0, "value": -3.0, "stderr": 0.1, "ess": None, "spread": 0.2}
    two |= {"lower": -3.1, "upper": -2.9, "lower_stderr": 0.1, "upper_stderr": 0.1, "converged": 1.0}
    dataset = likelihood_dataset([one, two]).squeeze()
    np.testing.assert_array_equal(dataset.log_likelihood, [-4.0, -3.0])
    np.testing.assert_array_equal(dataset.lower, [np.nan, -3.1])
    np.testing.assert_array_equal(dataset.ess, [7.0, np.nan])


def test_a_table_has_one_row_a_number():
    dataset = xr.Dataset(
        {
            "a": (("x", "y"), [[1.0, np.nan], [3.0, 4.0]], {"units": "nat"}),
            "b": ("x", [5, 6]),
            "c": ((), 7.5),
            "label": ("x", ["one", "two"]),
        },
        coords={"x": [10, 20]},
    )
    table = long_table(dataset)
    expected = pd.DataFrame(
        {
            "x": [10, 20, 20, 10, 20, np.nan],
            "y": [0, 0, 1, np.nan, np.nan, np.nan],
            "variable": ["a", "a", "a", "b", "b", "c"],
            "value": [1.0, 3.0, 4.0, 5.0, 6.0, 7.5],
            "units": ["nat", "nat", "nat", "", "", ""],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_tables_hold_what_the_results_hold(study, tmp_path):
    files = write_tables(study, tmp_path / "tables")
    assert (
        [file.stem for file in files]
        == list(study.result_names())
        == ["baselines", "gallery", "likelihood", "training"]
    )
    table = pd.read_csv(tmp_path / "tables" / "likelihood.csv")
    values = table[table.variable == "log_likelihood"].set_index(["recipe", "hidden", "replica", "update"])["value"]
    dataset = study.result("likelihood").log_likelihood
    assert len(values) == dataset.size
    for place, value in values.items():
        assert value == pytest.approx(float(dataset.loc[place]), rel=1e-12)


@pytest.fixture(scope="module")
def along(tmp_path_factory):
    """Two small runs whose whole curves are estimated by tempering along them, with a bracket beside the last point."""
    plan = StudyConfig(
        name="along",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (3, 3)}),
        hidden=(3, 5),
        replicas=1,
        recipes={"recommended": {"epochs": 12, "checkpoint_epochs": (4, 8, 12), "engine": "reference"}},
        likelihood=LikelihoodPlan(
            method="trajectory",
            n_chains=200,
            budget=5e10,
            final=LikelihoodMethod(method="bracket", n_betas=100, n_chains=100),
        ),
        figures=("likelihood",),
    )
    return run_study(plan, tmp_path_factory.mktemp("along") / "s", progress=False)


def test_a_trajectory_estimates_every_point_of_a_curve(along):
    """Against exact sums: 6 points within 4.5 of their errors (false alarms 4e-5), one estimator throughout."""
    found = along.result("likelihood").sel(recipe="recommended", replica=0)
    assert found["update"].size == 3
    assert found.estimator.attrs["meanings"].split()[int(found.estimator.max())] == "trajectory"
    assert float(found.estimator.min()) == float(found.estimator.max())
    assert bool((found.converged == 1.0).all())
    dataset = along.config.data.load()
    for key, run in along.runs.items():
        for update in found["update"].to_numpy():
            point = found.sel(hidden=key.hidden, update=update)
            model = run.load(int(update))
            exact = log_likelihood(model, dataset, method="exact").value
            assert abs(float(point.log_likelihood) - exact) < 4.5 * float(point.stderr)
            scores = model.free_energy(dataset.test if len(dataset.test) else dataset.train)
            assert float(point.row_stderr) == pytest.approx(float(scores.std()) / len(scores) ** 0.5, rel=1e-4)
            assert float(point.stderr) < 0.2


def test_a_bracket_beside_a_trajectory_gives_bounds_and_no_estimate(along):
    found = along.result("likelihood").sel(recipe="recommended", replica=0)
    last = found.isel(update=-1)
    assert np.isfinite(last.lower.values).all()
    assert (last.starts_equilibrated == 1.0).all()
    assert (np.isfinite(last.bracketed)).all()
    assert np.isnan(found.isel(update=0).lower.values).all()
    names = {path.name for path in (along.directory / "results" / "likelihood").iterdir()}
    assert names == {f"M000{m}-r0-{part}.json" for m in (3, 5) for part in ("trajectory", "00000012")}


def test_cheap_work_makes_few_tasks(tmp_path):
    """Eight toy runs of 40 epochs with a likelihood at each of 20 checkpoints: one task a run trains, one estimates."""
    plan = StudyConfig(
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (3, 3)}),
        hidden=(3, 5),
        replicas=4,
        recipes={"recommended": {"epochs": 40, "checkpoint_epochs": tuple(range(2, 41, 2))}},
        likelihood=LikelihoodPlan(method="exact"),
        figures=("likelihood",),
    )
    tasks = list(build_graph(plan, plan.data.load()))
    assert sum(task.kind == "train" for task in tasks) == 8
    assert sum(task.kind == "likelihood" for task in tasks) == 8
    assert sum(len(task.parameters.get("seeds", ())) for task in tasks) == 160
    cut = build_graph(plan.replace(slice_epochs=10), plan.data.load())
    assert sum(task.kind == "train" for task in cut) == 32
    assert sum(task.kind == "likelihood" for task in cut) == 32, "early points wait for their own slice only"
