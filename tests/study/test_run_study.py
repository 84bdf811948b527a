"""Studies: right numbers, nothing done twice, nothing lost, nothing mixed."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
import xarray as xr

from rbmscape.errors import ConfigError, InputError, RunLockedError, ShapeError, StudyError
from rbmscape.model.exact import exact_log_partition
from rbmscape.study.context import StudyContext
from rbmscape.study.execute import HerePool, execute
from rbmscape.study.graph import build_graph
from rbmscape.study.progress import SilentReporter
from rbmscape.study.store import StudyStore
from rbmscape.study.study import open_study, run_study
from rbmscape.study.tasks import run_task


class Stop(SilentReporter):
    """Interrupts at the n-th call from inside a task: training updates, or between two tasks."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def advance(self, task, fraction, note=""):  # noqa: ARG002
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def begin(self, task):
        self.advance(task, 0.0)


@pytest.fixture(scope="module")
def finished(tiny_plan, tmp_path_factory):
    directory = tmp_path_factory.mktemp("studies") / "tiny"
    study = run_study(tiny_plan, directory, progress=False)
    outcome = study.outcome
    assert outcome.failures == {}
    return study


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished.directory, tmp_path / "copy")


def test_likelihoods_are_those_of_the_models(finished):
    estimates = finished.result("likelihood").sel(recipe="recommended")
    data = torch.from_numpy(finished._context.dataset.test).to(torch.float64)
    for key, run in finished.runs.items():
        for update in (10, 20, 30):
            rbm = run.load(update).to(dtype=torch.float64)
            exact = float((-rbm.free_energy(data)).mean()) - exact_log_partition(rbm)
            found = float(estimates.log_likelihood.sel(hidden=key.hidden, replica=key.replica, update=update))
            assert found == pytest.approx(exact, abs=1e-5)
    assert float(estimates.log_likelihood.max()) <= -np.log(14) + 1e-9, "no model beats the 14 equally likely pictures"
    assert estimates.log_likelihood.attrs["units"] == "nat"
    assert estimates.attrs["seed"] == 0
    np.testing.assert_allclose(estimates.epoch.isel(hidden=0, replica=0), [10, 20, 30])


def test_a_finished_study_is_not_done_again(finished, tiny_plan):
    before = {path: path.stat().st_mtime_ns for path in finished.directory.rglob("*.safetensors")}
    outcome = run_study(tiny_plan, finished.directory, progress=False).outcome
    assert outcome.computed == ()
    assert len(outcome.skipped) == len(finished.graph())
    assert before == {path: path.stat().st_mtime_ns for path in finished.directory.rglob("*.safetensors")}


def test_one_more_replica_and_size_compute_only_what_is_new(copy, tiny_plan, finished):
    study = run_study(tiny_plan.replace(hidden=(2, 4, 6), replicas=3), copy, progress=False)
    outcome = study.outcome
    trained = {"/".join(name.split("/")[:2]) for name in outcome.computed if name.startswith("train/")}
    assert trained == {"train/M0002-r2", "train/M0006-r2", "train/M0004-r0", "train/M0004-r1", "train/M0004-r2"}
    old = finished.result("likelihood").log_likelihood
    new = study.result("likelihood").log_likelihood
    xr.testing.assert_equal(new.sel(hidden=[2, 6], replica=[0, 1]), old)
    assert bool(new.notnull().all())
    assert "figure/likelihood" in outcome.computed


@pytest.mark.parametrize("calls", [3, 50, 130])
def test_an_interrupted_study_ends_the_same(calls, tmp_path, tiny_plan, finished):
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny_plan, tmp_path / "s", progress=Stop(calls))
    done_before = len(list((tmp_path / "s" / "tasks").glob("*.json"))) if (tmp_path / "s" / "tasks").exists() else 0
    study = run_study(tiny_plan, tmp_path / "s", progress=False)
    outcome = study.outcome
    assert len(outcome.skipped) == done_before
    assert len(outcome.computed) == len(study.graph()) - done_before
    xr.testing.assert_equal(study.result("likelihood"), finished.result("likelihood"))
    for key, run in study.runs.items():
        assert torch.equal(run.load().weights, finished.runs[key].load().weights)


def test_lost_outputs_are_made_again(copy, tiny_plan):
    (copy / "figures" / "gallery.pdf").unlink()
    (copy / "results" / "likelihood.nc").unlink()
    outcome = run_study(tiny_plan, copy, progress=False).outcome
    assert set(outcome.computed) == {"results/likelihood", "figure/gallery"}, "its data are there"


def test_changed_settings_redo_only_what_follows_from_them(copy, tiny_plan):
    options = {"gallery": {"n_samples": 5, "sampling": {"n_chains": 20, "budget": 1e9}}}
    outcome = run_study(tiny_plan.replace(figure_options=options), copy, progress=False).outcome
    assert outcome.computed == ("compute/gallery", "figure/gallery")


def test_a_torn_record_only_repeats_its_task(copy, tiny_plan):
    (copy / "tasks" / "figure.gallery.json").write_text('{"task": "figure/gal')
    outcome = run_study(tiny_plan, copy, progress=False).outcome
    assert outcome.computed == ("figure/gallery",)


def test_other_studies_and_strangers_are_refused(copy, tiny_plan, tmp_path):
    with pytest.raises(StudyError, match=r"holds another study \(its seed is 0, not 1"):
        run_study(tiny_plan.replace(seed=1), copy, progress=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(StudyError, match=r"thesis\.tex"):
            run_study(tiny_plan, tmp_path / "mine", overwrite=overwrite, progress=False)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    with pytest.raises(StudyError, match="holds no study"):
        open_study(tmp_path / "mine")
    with pytest.raises(StudyError, match="has no result 'spectra'; it has baselines, gallery, likelihood, training"):
        open_study(copy).result("spectra")


def test_overwrite_starts_from_nothing(copy, tiny_plan):
    small = tiny_plan.replace(seed=1, hidden=(2,), replicas=1)
    study = run_study(small, copy, overwrite=True, progress=False)
    outcome = study.outcome
    assert outcome.skipped == ()
    assert [path.name for path in (copy / "runs").iterdir()] == ["M0002-r0"]
    assert study.config.seed == 1


def test_two_processes_do_not_share_a_study(copy, tiny_plan):
    with StudyStore(copy), pytest.raises(RunLockedError, match="in use by another process"):
        run_study(tiny_plan, copy, progress=False)


def test_a_failure_leaves_out_only_what_needs_it(copy, tiny_plan):
    plan = tiny_plan.replace(hidden=(2, 3, 6), replicas=1)
    context = StudyContext(plan, StudyStore(copy))
    graph = build_graph(plan, context.dataset)

    def broken(context, task, reporter):
        if task.name == "train/M0003-r0":
            raise ShapeError("the third size is broken on purpose")
        return run_task(context, task, reporter)

    outcome = execute(graph, context.store, HerePool(context, SilentReporter(), run=broken), SilentReporter())
    assert outcome.failures["train/M0003-r0"] == "the third size is broken on purpose"
    assert all("M0003" in name or name.startswith(("results/", "compute/", "figure/")) for name in outcome.failures)
    assert "left out, because" in outcome.failures["compute/gallery"]
    again = run_study(plan, copy, progress=False).outcome
    assert again.failures == {}
    assert "train/M0003-r0" in again.computed


def test_graph_is_plain_data_in_an_order_that_can_be_done(tiny_plan):
    graph = build_graph(tiny_plan, tiny_plan.data.load())
    seen: set[str] = set()
    for task in graph:
        assert set(task.needs) <= seen
        seen.add(task.name)
        json.dumps(task.parameters)
    marks = [task.fingerprint for task in graph if task.kind != "train" or task.name.count("/") == 1]
    assert len(set(marks)) == len(marks)
    for a, b in itertools.pairwise(sorted(task.cost for task in graph)):
        assert 0 < a <= b


def test_data_enter_the_fingerprints(tiny_plan):
    square = build_graph(tiny_plan, tiny_plan.data.load())
    other = tiny_plan.replace(data={"source": "bars-and-stripes", "options": {"image_shape": (2, 4)}})
    different = build_graph(other, other.data.load())
    assert all(different.tasks[task.name].fingerprint != task.fingerprint for task in square)


def test_unknown_figures_are_refused_before_anything_is_written(tiny_plan, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'gallery'"):
        run_study(tiny_plan.replace(figures=("galery",)), tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


class Counter:
    """A plain reporter of long calls."""

    def __init__(self):
        self.announced, self.done, self.stopped = None, [], False

    def start(self, what, total):
        self.announced = what, total

    def advance(self, done, status=None):
        self.done += [status] * done

    def stop(self):
        self.stopped = True


def test_any_reporter_of_long_calls_counts_the_tasks_of_a_study(copy, tiny_plan):
    counter = Counter()
    study = run_study(tiny_plan.replace(replicas=3), copy, progress=counter)
    assert counter.announced == ("tasks", len(study.outcome.computed))
    assert counter.done == list(study.outcome.computed)
    assert counter.stopped
    with pytest.raises(InputError, match="progress must be True, False or an object"):
        run_study(tiny_plan, copy, progress="loud")


def test_a_study_and_its_outcome_are_one_line(finished):
    words = f"Study({str(finished.directory)!r}, M = 2, 6, 2 replicas, 4 runs)"
    assert repr(finished) == words or repr(finished).endswith("…)")
    assert repr(finished.outcome) == f"Outcome({len(finished.outcome.computed)} tasks done, 0 before, 0 failed)"
    assert repr(open_study(finished.directory).outcome) == "Outcome(0 tasks done, 0 before, 0 failed)"
