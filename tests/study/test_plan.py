"""Plans as files, and what is refused before anything runs: each message names the cure."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

import rbmscape.files
import rbmscape.study.needs as needs
from rbmscape.errors import ConfigError, DiskError
from rbmscape.figures.registry import all_figures
from rbmscape.figures.spec import FigureScene
from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig
from rbmscape.study.context import StudyContext
from rbmscape.study.execute import HerePool, execute
from rbmscape.study.graph import build_graph
from rbmscape.study.plan import check_plan, read_plan, read_search_plan
from rbmscape.study.profiles import PROFILES, profile
from rbmscape.study.progress import SilentReporter
from rbmscape.study.store import StudyStore
from rbmscape.study.study import run_study

PLAN = """
hidden = [4, 2]
replicas = 1
figures = ["gallery"]

[data]
source = "bars-and-stripes"
options = { image_shape = [3, 3] }

[recipes.paper]
epochs = 4

[recipes.cd]
method = "cd"
epochs = 4

[scopes.cd]
hidden = [2]

[likelihood]
method = "ais"
final = { method = "bracket", n_betas = 100, max_betas = 200 }

[figure_options.gallery]
n_samples = 5
"""


def written(tmp_path: Path, text: str, name: str = "spins.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_says_in_toml_what_python_says(tmp_path):
    plan = read_plan(written(tmp_path, PLAN))
    assert plan == StudyConfig(
        name="spins",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (3, 3)}),
        hidden=(2, 4),
        replicas=1,
        recipes={"paper": {"epochs": 4}, "cd": {"method": "cd", "epochs": 4}},
        scopes={"cd": {"hidden": (2,)}},
        likelihood={"method": "ais", "final": {"method": "bracket", "n_betas": 100, "max_betas": 200}},
        figures=("gallery",),
        figure_options={"gallery": {"n_samples": 5}},
    )
    assert next(iter(plan.recipes)) == "paper", "the first recipe of the file is the main one"
    check_plan(plan, plan.data.load())


def test_data_lie_beside_the_plan(tmp_path):
    (tmp_path / "spins.csv").write_text("0,1\n1,0\n" * 10)
    plan = read_plan(written(tmp_path, 'hidden = [2]\n[data]\nsource = "spins.csv"\n'))
    assert plan.data.source == str(tmp_path / "spins.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("replicas", "replica"), "no key 'replica'; did you mean 'replicas'"),
        (("[recipes.cd]\nmethod", "[recipes.cd]\nmethd"), "no key 'methd'; did you mean 'method'"),
        (
            ("[scopes.cd]\nhidden", "[scopes.cd]\nhiden"),
            "a scope of the study plan has no key 'hiden'; did you mean 'hidden'",
        ),
        (("max_betas", "max_beta"), "\\[likelihood\\] has no key 'max_beta'; did you mean 'max_betas'"),
        (("n_betas = 100, max_betas = 200", "n_betas = 100, max_betas = 50"), "at least n_betas = 100"),
        (
            ('method = "ais"', 'method = "ais"\nbudget = 1e10'),
            "budget = 1e\\+10 is for the methods 'bracket' and 'trajectory'",
        ),
        (("max_betas = 200", "max_betas = 200, budget = 0"), "greater than 0"),
        (("source =", "sorce ="), "\\[data\\] has no key 'sorce'; did you mean 'source'"),
        (("hidden = [4, 2]", "hidden = [0]"), "greater than or equal to 1"),
        (("hidden = [4, 2]", "hidden = 4 2"), "is no valid TOML.*line 2"),
    ],
)
def test_mistakes_in_a_plan_are_named_with_the_file(tmp_path, change, message):
    path = written(tmp_path, PLAN.replace(*change))
    with pytest.raises(ConfigError, match=f"(?s){path}.*{message}"):
        read_plan(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("figure_options.gallery", "figure_options.galery"), "figure 'galery'; did you mean 'gallery'"),
        (("n_samples", "n_sample"), "gallery has no key 'n_sample'; did you mean 'n_samples'"),
        (('["gallery"]', '["galery"]'), "no figure 'galery'; did you mean 'gallery'"),
    ],
)
def test_mistakes_about_figures_are_found_before_anything_runs(tmp_path, change, message):
    plan = read_plan(written(tmp_path, PLAN.replace(*change)))
    with pytest.raises(ConfigError, match=message):
        run_study(plan, tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a plan is a \.toml file"):
        read_plan(tmp_path / "plan.yaml")
    with pytest.raises(DiskError, match="could not be read"):
        read_plan(tmp_path / "none.toml")


def test_built_in_plans_fit_their_data_and_figures():
    dataset = profile("quick").data.load()
    for name in PROFILES:
        check_plan(profile(name), dataset)


def test_every_figure_has_a_cost():
    sizes = {"n_visible": 784, "hidden": (100, 500), "main": 500, "replicas": 2, "runs": 4, "checkpoints": 10}
    speeds = dict.fromkeys(("sweep", "annealing", "svd"), lambda hidden: 1e-6 * hidden)
    scene = FigureScene(**sizes, **speeds, slowness=1.0)
    for entry in all_figures():
        assert 0.0 < entry.spec.cost(scene, entry.spec.options()) < 1000.0, entry.name


def test_the_papers_design():
    for name, epochs, steps in (("laptop", 40, 10), ("paper", 100, 500)):
        plan = profile(name)
        assert plan.hidden == (500, 784, 1200, 3000)
        assert next(iter(plan.recipes)) == "paper"
        keys = list(plan.run_keys())
        assert sum(key.recipe == "paper" for key in keys) == 20
        first = plan.training(keys[0])
        assert (first.epochs, first.gibbs_steps, first.gradient, first.optimizer) == (epochs, steps, "plain", "adam")
        assert {plan.training(key).method for key in keys} == {"pcd", "cd", "rdm"}
        methods = plan.likelihood.methods(first, 120)
        assert plan.likelihood.method == "trajectory", "one estimator for a whole curve"
        beside = [] if plan.likelihood.final is None else ["bracket"]
        assert [way.method for way in methods.values()] == beside
        assert beside or name == "paper"
        assert len(plan.likelihood.updates(first, 120)) >= 7


def test_models_too_large_to_be_summed_are_refused(tiny_plan):
    large = tiny_plan.replace(
        hidden=(2, 26),
        data={"source": "planted", "options": {"n_visible": 32, "n_train": 20, "n_test": 2}},
        likelihood=LikelihoodPlan(n_chains=10, n_betas=10, final={"method": "exact"}),
    )
    with pytest.raises(ConfigError, match=r"cannot be summed exactly .* 26 units, at most 25"):
        check_plan(large, large.data.load())


def test_sizes_beyond_the_machine_are_refused(tiny_plan, tmp_path):
    huge = tiny_plan.replace(hidden=(10**9,), likelihood=LikelihoodPlan())
    with pytest.raises(ConfigError, match=r"M = 1000000000 needs about .* TB of memory and this machine has"):
        run_study(huge, tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


def test_too_little_disk_is_said_before_anything_runs(tiny_plan, tmp_path, monkeypatch):
    monkeypatch.setattr(needs.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DiskError, match=r"needs about .* MB more on the disk of .*, which has 1 MB left"):
        run_study(tiny_plan, tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


def test_a_disk_that_fills_up_ends_the_study_and_a_rerun_goes_on(tiny_plan, tmp_path, monkeypatch):
    replace, left = rbmscape.files.os.replace, [40]

    def until_full(source, target):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(rbmscape.files.os, "replace", until_full)
    with pytest.raises(DiskError, match=r"No space left on device.*free some space"):
        run_study(tiny_plan, tmp_path / "s", progress=False)
    monkeypatch.undo()
    done = len(list((tmp_path / "s" / "tasks").glob("*.json")))
    assert done
    study = run_study(tiny_plan, tmp_path / "s", progress=False)
    outcome = study.outcome
    assert len(outcome.skipped) == done
    assert len(outcome.skipped) + len(outcome.computed) == len(study.graph())


def test_an_unexpected_error_costs_one_task_and_leaves_its_traceback(tiny_plan, tmp_path):
    plan = tiny_plan.replace(hidden=(2,), replicas=1)
    run_study(plan, tmp_path / "s", progress=False)
    (tmp_path / "s" / "figures" / "gallery.png").unlink()
    context = StudyContext(plan, StudyStore(tmp_path / "s"))

    def broken(context, task, reporter):
        raise ZeroDivisionError("a bug on purpose")

    reporter = SilentReporter()
    outcome = execute(build_graph(plan, context.dataset), context.store, HerePool(context, reporter, broken), reporter)
    assert outcome.computed == ()
    assert outcome.failures.keys() == {"figure/gallery"}
    words = outcome.failures["figure/gallery"]
    assert words == "ZeroDivisionError: a bug on purpose (traceback in tasks/figure.gallery.error.txt)"
    assert "in broken" in (tmp_path / "s" / "tasks" / "figure.gallery.error.txt").read_text()


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples").glob("*.toml")), ids=lambda path: path.stem
)
def test_example_plans_fit_their_data_and_figures(path):
    if path.stem == "search":
        plan = read_search_plan(path)
        check_plan(plan.study(), plan.study().data.load())
    else:
        plan = read_plan(path)
        check_plan(plan, plan.data.load())
    assert plan.name == path.stem
