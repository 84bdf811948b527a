"""Signs of training out of equilibrium: shown where a model has them by construction, silent where it has none."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.model.exact import exact_samples
from rbmscape.report.build import write_report
from rbmscape.report.equilibrium import sign_rows
from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig
from rbmscape.study.study import run_study


def ferromagnet(barrier, tilt):
    """20 units nearly all off or nearly all on; the tilt sets the weights of both."""
    weights = np.full((20, 8), barrier)
    return rs.RBM(weights, -weights.sum(1) / 2 + tilt / 20, -weights.sum(0) / 2)


def run_of(model, of_data):
    """A run whose only model is this one, and exact samples of another model as its data."""
    data = rs.Dataset.from_array(exact_samples(of_data, 2000, seed=5)[0].numpy())
    recipe = rs.TrainingConfig(n_hidden=8, epochs=0, gibbs_steps=2, n_chains=50, engine="reference")
    return rs.train(data, recipe, init=model, progress=False), data


def signs(model, of_data, **options):
    """What is seen of such a run."""
    return rs.training_signs(*run_of(model, of_data), n_checkpoints=3, **options)


def test_a_model_in_equilibrium_with_its_data_shows_none():
    """8 seeds, each with two possible objections at 4 standard errors: false alarm below 1e-2 in all."""
    run, data = run_of(ferromagnet(0.35, 0.3), ferromagnet(0.35, 0.3))
    for seed in range(8):
        found = rs.training_signs(run, data, seed=seed)
        assert found.findings == ()
        assert abs(found.two_body[-1, -1] - 1.0) < 0.3
    assert "nothing speaks against" in str(found)


def test_chains_that_do_not_change_wells_have_the_wrong_shares():
    """From fair bits half of the chains fall into each well, which holds 73 % and 27 % of model and data."""
    model = ferromagnet(1.2, 1.0)
    found = signs(model, model)
    assert abs(found.shares[-1, 0] - 0.5) < 0.15 < found.data_shares[0] - 0.5
    assert len(found.findings) == 1
    assert "class 0 has 5" in found.findings[0]
    assert found.share_gap[-1] == pytest.approx(abs(found.shares[-1] - found.data_shares).max())
    mixing = signs(ferromagnet(0.35, 0.3), ferromagnet(0.35, 0.3))
    assert found.autocorrelation[-1] > 3.0 * mixing.autocorrelation[-1]


def test_statistics_that_rise_and_fall_again_are_told():
    """Data have both wells alike; chains do early on, and later flow into the one that the model prefers."""
    found = signs(ferromagnet(0.5, 6.0), ferromagnet(0.5, 0.0), n_chains=400)
    assert found.overshoot[-1].value > 4.0 * found.overshoot[-1].stderr
    assert found.two_body[-1].argmax() < len(found.steps) - 2
    assert "two-body statistics of chains from random states follow the data best after" in found.findings[0]
    control = signs(ferromagnet(0.5, 0.0), ferromagnet(0.5, 0.0), n_chains=400)
    assert not any("two-body" in words for words in control.findings)


@pytest.mark.parametrize(
    ("options", "words"), [({"n_chains": 10}, "n_chains"), ({"factors": (4, 2)}, "rising integers")]
)
def test_bad_input_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        signs(ferromagnet(0.1, 0.0), ferromagnet(0.1, 0.0), **options)


def test_a_model_is_no_training():
    with pytest.raises(InputError, match="must be a run, found RBM"):
        rs.training_signs(ferromagnet(0.1, 0.0))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One training in equilibrium and one that is not known to be, side by side."""
    shared = {
        "epochs": 6,
        "early_checkpoints": 1,
        "batch_size": 30,
        "n_chains": 40,
        "gibbs_steps": 2,
        "learning_rate": 0.2,
    }
    plan = StudyConfig(
        name="both",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (4, 4)}),
        hidden=(6,),
        replicas=1,
        recipes={"persistent": shared | {"method": "pcd"}, "tempered": shared | {"method": "ptt"}},
        likelihood=LikelihoodPlan(method="exact"),
        figures=("likelihood",),
    )
    return run_study(plan, tmp_path_factory.mktemp("studies") / "both", progress=False)


def test_the_mixing_report_has_them_along_the_training(study):
    for run in study.runs.values():
        report = rs.mixing_report(run, n_chains=40, factors=(1, 2), n_checkpoints=3)
        found = report.signs
        assert found.updates[-1] == run.last_update
        assert len(found.updates) == 3
        rows = {row["update"]: row for row in run.rows}
        for update, gap, time in zip(found.updates, found.energy_gap, found.ladder_autocorrelation, strict=True):
            row = rows[update]
            assert gap == pytest.approx(row["free_energy_chains"] - row["free_energy_train"])
            assert time == row["autocorrelation_rounds"] if run.config.method == "ptt" else math.isnan(time)
        table = found.dataset()
        assert table.two_body.dims == ("update", "step")
        assert table.sizes == {"update": 3, "step": 7, "class": 3}
        assert str(report).startswith(report.sentence)
        assert all(words in str(report) for words in found.findings)


def test_the_report_sets_both_kinds_side_by_side(study):
    first, second = sign_rows(study)
    assert [first.method, second.method] == ["pcd-2", "ptt-2"]
    assert first.best[0] == first.signs.two_body[-1].max()
    page = write_report(study).read_text()
    assert "In and out of equilibrium" in page
    assert "<td>pcd-2</td>" in page
    assert "<td>ptt-2</td>" in page
