"""Searches: which candidates there are, who goes on and who wins, and that a rung goes on with the runs of the last."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError, StudyError
from rbmscape.figures.material import RunKey
from rbmscape.study import tasks
from rbmscape.study.candidates import Candidate, Score, best_of, survivors
from rbmscape.study.config import DataPlan
from rbmscape.study.estimate import Speeds
from rbmscape.study.search import open_search, rungs_of, search
from rbmscape.study.search_config import SearchConfig
from rbmscape.study.search_survey import survey_search

TOO_STEEP = 1e9
PLAN = SearchConfig(
    name="small",
    data=DataPlan(source="planted", options={"n_visible": 16, "rank": 2, "n_train": 120, "n_test": 40}),
    validation=0.25,
    factor=2,
    search={"hidden": (2, 5), "learning_rate": (0.05, 0.5, TOO_STEEP)},
    recipe={"epochs": 8, "batch_size": 30, "n_chains": 30, "gibbs_steps": 1, "engine": "reference", "clip": 0.0},
)


@pytest.fixture(autouse=True)
def no_quality(monkeypatch):
    """What the best is like beside its likelihood is looked at in the test of the command."""
    monkeypatch.setitem(tasks.RUNNERS, "quality", lambda *_: {"concerns": ["none was looked for"]})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks.RUNNERS, "quality", lambda *_: {"concerns": ["none was looked for"]})
        return search(PLAN, tmp_path_factory.mktemp("search") / "s", progress=False)


def held_out(found):
    return found.config.study().data.load()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {}}, "holds lists of values"),
        ({"search": {"hidden": ()}}, "hidden needs a list of at least one value"),
        ({"search": {"hidden": 5}}, "hidden needs a list"),
        ({"search": {"hidden": (5, 6), "learning_rat": (0.1,)}}, "did you mean 'learning_rate'"),
        ({"search": {"hidden": (5, 6), "epochs": (1, 2)}}, "no key 'epochs'"),
        ({"search": {"hidden": (5, 5)}}, "hidden lists a value twice"),
        ({"search": {"learning_rate": (0.1, 0.2)}}, "needs the size of the hidden layer"),
        ({"search": {"hidden": (5, 6)}, "factor": 3}, "2 candidates, fewer than the factor 3"),
        ({"search": {"hidden": (5, 6), "l1": (0.0, -1.0)}}, "l1"),
        ({"recipe": {"hidden": 5}}, "is among .search. as well"),
        ({"recipe": {"seed": 5}}, "the search sets itself"),
        ({"recipe": {"epochs": 3}}, "make 3 rungs, which take 4 epochs at least, found 3"),
        ({"recipe": {"patience": 3, "online_likelihood": True, "epochs": 9}}, "patience ends trainings by themselves"),
        ({"likelihood": {"method": "ais"}}, "has no verdict on its convergence"),
        ({"validation": 1.0}, "validation"),
        ({"facto": 2}, "did you mean 'factor'"),
    ],
)
def test_what_is_no_search_is_refused_in_one_sentence(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        SearchConfig(**(PLAN.model_dump() | changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "factor", "expected"),
    [
        (2, 2, [(27, 2)]),
        (3, 2, [(13, 3), (27, 2)]),
        (8, 2, [(6, 8), (13, 4), (27, 2)]),
        (9, 3, [(9, 9), (27, 3)]),
        (10, 3, [(3, 10), (9, 4), (27, 2)]),
        (27, 3, [(3, 27), (9, 9), (27, 3)]),
    ],
)
def test_rungs_multiply_epochs_and_divide_candidates_until_at_most_a_factor_is_left(count, factor, expected):
    plan = SearchConfig(search={"hidden": tuple(range(1, count + 1))}, factor=factor, recipe={"epochs": 27})
    assert [(rung.epochs, rung.places) for rung in rungs_of(plan)] == expected


def candidate(number, value, *, converged=True, rung=0, failure=""):
    score = None if failure else Score(value, 0.1, 0.2, converged, "bracket", value + 1.0)
    return Candidate(RunKey("c", number, 0), {"hidden": number}, rung, 3, score, failure)


def test_candidates_that_are_not_converged_stand_behind_all_others_and_cannot_win():
    some = [
        candidate(1, -5.0, converged=False),
        candidate(2, -9.0),
        candidate(3, -1.0, converged=False),
        candidate(4, -7.0),
        candidate(5, 0.0, failure="diverged"),
    ]
    assert [one.key.hidden for one in survivors(some, 9)] == [4, 2, 1, 3]  # the unconverged as in the plan
    assert [one.key.hidden for one in survivors(some, 3)] == [4, 2, 1]
    assert best_of(some) is some[3]
    assert best_of([one for one in some if not one.converged]) is None
    later = [*some, candidate(6, -8.0, rung=1), candidate(7, -6.0, rung=1, converged=False)]
    assert best_of(later) is later[5]  # longer trained ones are not compared with shorter ones
    assert str(some[0].score) == "not converged, at most about -4.00"


def test_the_best_has_the_highest_exact_likelihood_of_the_held_out_rows(found):
    rows = held_out(found).test
    assert len(rows) == 30
    last = [one for one in found.candidates if one.rung == 2]
    assert len(last) == 2
    for one in found.candidates:
        assert bool(one.failure) == (one.values["learning_rate"] == TOO_STEEP)
        if not one.failure:
            run = found.run(one)
            model = run.load(one.epochs * run.updates_per_epoch)
            exact = rs.log_likelihood(model, rows, "exact")
            assert one.score.value == pytest.approx(exact.value, abs=1e-9)
            assert one.score.row_stderr == pytest.approx(exact.rows, rel=1e-6)
    assert found.winner is max(last, key=lambda one: one.score.value)
    dropped = [one for one in found.candidates if one.rung == 1 and not one.failure]
    assert [len([one for one in found.candidates if one.rung == rung]) for rung in range(3)] == [3, 1, 2]
    assert dropped
    (other,) = (one for one in last if one is not found.winner)
    assert other.behind.value == pytest.approx(found.winner.score.value - other.score.value, abs=1e-9)
    a, b = (found.run(one).load() for one in (found.winner, other))
    states = torch.from_numpy(rows).float()
    paired = (b.free_energy(states) - a.free_energy(states)).double()
    assert other.behind.stderr == pytest.approx(float(paired.std() / len(rows) ** 0.5), rel=0.02)


def test_the_winner_is_a_run_bit_for_bit_as_trained_straight_through(found, tmp_path):
    best = found.best
    assert best.directory == found.directory / "best"
    assert rs.check(best.directory) == []
    straight = rs.train(held_out(found), best.config, tmp_path / "straight", progress=False)
    assert straight.updates == best.updates
    for update in best.updates:
        a, b = best.load(update), straight.load(update)
        assert torch.equal(a.weights, b.weights)
        assert torch.equal(a.visible_bias, b.visible_bias)
        assert torch.equal(a.hidden_bias, b.hidden_bias)
    assert torch.equal(best.chains, straight.chains)
    assert best.dataset().fingerprint == held_out(found).fingerprint


def test_held_out_rows_are_training_rows_and_the_test_rows_take_no_part(found):
    whole, inner = PLAN.data.load(), held_out(found)
    assert (len(inner.train), len(inner.test)) == (90, 30)
    together = np.concatenate([inner.train, inner.test])
    assert sorted(map(bytes, together)) == sorted(map(bytes, whole.train))
    exact = rs.log_likelihood(found.best.load(), whole.test, "exact")
    assert found.test.value == pytest.approx(exact.value, abs=1e-9)


def test_a_finished_search_does_nothing_again_and_is_read_back(found):
    before = {path: path.stat().st_mtime_ns for path in (found.directory / "best").rglob("*")}
    again = search(PLAN, found.directory, progress=False)
    assert again.outcome.computed == ()
    assert again.candidates == found.candidates
    assert {path: path.stat().st_mtime_ns for path in (found.directory / "best").rglob("*")} == before
    opened = open_search(found.directory)
    assert opened.candidates == found.candidates
    assert (opened.test, opened.quality) == (found.test, {"concerns": ["none was looked for"]})
    table = json.loads((found.directory / "search.json").read_text())["candidates"]
    assert [row["best"] for row in table] == [True, False, False, False, False, False]
    assert all(row["log_likelihood"] is None for row in table if row["failure"])


def test_a_dry_run_counts_what_is_left_of_each_rung(found, tmp_path, monkeypatch):
    sizes = dict.fromkeys(PLAN.search["hidden"], 0.0)
    slow = Speeds(dict.fromkeys(sizes, 10.0), sizes, sizes, 0.0)  # ten seconds an update, nothing else
    monkeypatch.setattr("rbmscape.study.search_survey.measure_speeds", lambda *_: slow)
    fresh = survey_search(PLAN, tmp_path / "s", workers=None, overwrite=False)
    assert [one.done for one in fresh.rungs] == [0, 0, 0]
    updates = [6 * 2 * 3, 3 * 2 * 3, 2 * 4 * 3]  # candidates times epochs beyond the rung before times minibatches
    for one, count in zip(fresh.rungs, updates, strict=True):
        assert one.seconds == pytest.approx(10.0 * count, abs=2.0 * 6)
    assert fresh.wall == pytest.approx(10.0 * sum(updates), abs=30.0)
    assert list(tmp_path.iterdir()) == []
    again = survey_search(PLAN, found.directory, workers=None, overwrite=False)
    assert again.rungs[0].done == 4
    assert again.rungs[0].seconds == pytest.approx(2 * 2 * 3 * 10.0, abs=4.0)  # those that failed


def test_a_dry_run_of_a_finished_search_has_nothing_left(tmp_path, monkeypatch):
    plan = PLAN.replace(search={"hidden": (5, 2), "learning_rate": (0.05, 0.5)}, recipe=PLAN.recipe | {"epochs": 2})
    search(plan, tmp_path / "s", progress=False)
    sizes = dict.fromkeys(PLAN.search["hidden"], 1.0)
    monkeypatch.setattr("rbmscape.study.search_survey.measure_speeds", lambda *_: Speeds(sizes, sizes, sizes, 0.0))
    survey = survey_search(plan, tmp_path / "s", workers=None, overwrite=False)
    assert [(one.done, one.seconds) for one in survey.rungs] == [(4, 0.0), (2, 0.0)]


class Stopper:
    """Ctrl-C after some tasks."""

    def __init__(self, after):
        self.left = after

    def start(self, what, total):
        pass

    def advance(self, done, _status=None):
        self.left -= done
        if self.left <= 0:
            raise KeyboardInterrupt

    def stop(self):
        pass


def without_failure(found):
    """Candidates; why one failed names its directory."""
    return [replace(one, failure="") for one in found.candidates]


def test_an_interrupted_search_goes_on_to_the_same_numbers(found, tmp_path):
    after = 14
    with pytest.raises(KeyboardInterrupt):
        search(PLAN, tmp_path / "s", progress=Stopper(after))
    with pytest.raises(StudyError, match="is not finished"):
        open_search(tmp_path / "s")
    assert not (tmp_path / "s" / "best").exists()
    again = search(PLAN, tmp_path / "s", progress=False)
    assert len(again.outcome.skipped) >= after - 4  # two candidates failed, with two tasks each
    assert without_failure(again) == without_failure(found)
    assert torch.equal(again.best.load().weights, found.best.load().weights)


def test_where_nothing_is_converged_nothing_is_best(tmp_path):
    plan = PLAN.replace(
        search={"hidden": (2, 3)},
        likelihood={"method": "bracket", "n_betas": 4, "max_betas": 4, "n_chains": 20, "budget": 1e6},
    )
    found = search(plan, tmp_path / "s", progress=False)
    assert [one.converged for one in found.candidates] == [False, False]
    assert found.winner is None
    with pytest.raises(StudyError, match="none can be called best; raise budget"):
        _ = found.best
    assert not (tmp_path / "s" / "best").exists()


def test_other_searches_and_other_files_are_not_touched(found, tmp_path):
    with pytest.raises(StudyError, match="holds a search with another plan"):
        search(PLAN.replace(seed=1), found.directory, progress=False)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StudyError, match=r"holds other files \(letter.txt\)"):
        search(PLAN, tmp_path, progress=False)
    with pytest.raises(StudyError, match="holds no search"):
        open_search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.slow
def test_worker_processes_find_the_same(found, tmp_path):
    again = search(PLAN, tmp_path / "s", progress=False, workers=2)
    assert without_failure(again) == without_failure(found)
