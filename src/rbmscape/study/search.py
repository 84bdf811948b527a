"""`search`: the best of many recipes by successive halving, with the tasks, the pools and the records of studies.

A search's directory: ``candidates/``, a study whose test data are the held-out rows; ``search.json``, the plan and the
table of all candidates; ``report.html``; and ``best/``, the winner's run with a report of its own.

The tasks of a rung are known when the one before is done.  Those of all rungs are recorded in the study's directory, so
that an interrupted search goes on with the same call, and one that is finished does nothing.
"""

from __future__ import annotations

import filecmp
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.digests import with_digest
from rbmscape.errors import ConfigError, StudyError
from rbmscape.figures.material import RunKey
from rbmscape.files import copy_tree, make_directory, remove_file, remove_tree, write_text
from rbmscape.likelihood.estimate import mean_and_error, scored_data, scored_weights
from rbmscape.likelihood.path import log_weight
from rbmscape.progress import Progress
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.layout import check_schema, read_json
from rbmscape.runs.run import Run
from rbmscape.stats import Estimate
from rbmscape.study.candidates import Candidate, Score, best_of, read_score, survivors
from rbmscape.study.context import StudyContext
from rbmscape.study.execute import Outcome, execute
from rbmscape.study.graph import TaskGraph, build_quality_graph, build_rung_graph
from rbmscape.study.needs import check_needs
from rbmscape.study.plan import check_plan
from rbmscape.study.progress import StudyReporter, make_reporter
from rbmscape.study.search_config import Rung, SearchConfig
from rbmscape.study.store import StudyStore
from rbmscape.study.study import cluster_pool, dataset_record, pool_here, previous_start

__all__ = ["Search", "check_place", "no_winner", "open_search", "read_search", "rung_graph", "rungs_of", "search"]

SEARCH_FORMAT: Final = "rbmscape-search"
SCHEMA: Final = 1
CONTENTS: Final = ("search.json", "candidates", "best", "report.html")


@dataclass(frozen=True, repr=False, eq=False)
class Search(OneLine):
    """What a search found.

    Attributes
    ----------
    directory : where it lies
    config : its plan
    candidates : the best first; then those of the last rung, of the one before, and so on, by their likelihood
    test : log-likelihood of the test data, which took no part, under the best; None where there are none
    quality : what the best is like beside its likelihood, as `rbmscape.Quality.record` gives it
    outcome : what became of the tasks now
    """

    directory: Path
    config: SearchConfig
    candidates: tuple[Candidate, ...]
    test: Score | None = None
    quality: Mapping[str, Any] | None = None
    outcome: Outcome = field(default_factory=lambda: Outcome((), ()))

    @property
    def best(self) -> Run:
        """The winner's run.

        Raises
        ------
        StudyError : no candidate of the last rung has a converged likelihood
        """
        if self.winner is None:
            raise StudyError(no_winner(self))
        return Run.open(self.directory / "best")

    @property
    def winner(self) -> Candidate | None:
        """The converged candidate of the last rung with the highest held-out likelihood."""
        return best_of(self.candidates)

    def run(self, candidate: Candidate) -> Run:
        """The run of a candidate."""
        return Run.open(self.directory / "candidates" / "runs" / str(candidate.key))

    def record(self) -> dict[str, Any]:
        """The table in JSON types, as ``search.json`` holds it beside the plan."""
        best = self.winner
        table = [one.record() | {"best": one is best} for one in self.candidates]
        test = None if self.test is None else asdict(self.test)
        return {"candidates": table, "test_log_likelihood": test, "quality": self.quality}

    def _headline(self) -> str:
        best = self.winner
        found = "none is known to be best" if best is None else f"best {dict(best.values)}, {best.score}"
        return f"{str(self.directory)!r}, {len(self.candidates)} candidates, {found}"


def no_winner(found: Search) -> str:
    """Why nothing can be called best, in one sentence."""
    alive = [one for one in found.candidates if not one.failure]
    if not alive:
        return f"no candidate could be trained and scored, the first failed because {found.candidates[0].failure}"
    return (
        "no candidate of the last rung has a converged likelihood, so that none can be called best; raise budget or "
        "max_betas under [likelihood], or search among smaller models"
    )


@checked
def search(
    config: SearchConfig,
    directory: str | os.PathLike[str],
    overwrite: bool = False,
    progress: Progress | StudyReporter = True,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Search:
    """Find the best candidate, or go on with what was interrupted.

    Parameters
    ----------
    config : the plan
    directory : of the search
    overwrite : start again from nothing
    progress, workers, scheduler : as for `rbmscape.run_study`

    Returns
    -------
    The search; its ``best`` is a run of its own in ``best/``

    Raises
    ------
    StudyError : the directory holds another search or other files, or no scheduler answers
    RunLockedError : another process works on it
    DataError, ConfigError : the data or the plan cannot be used
    DiskError : results cannot be written
    KeyboardInterrupt : Ctrl-C; the same call continues
    """
    if workers is not None and (scheduler is not None or workers < 1):
        raise ConfigError(f"give a number of workers from 1 on, or a scheduler, not {workers!r} and {scheduler!r}")
    place, study = Path(directory), config.study()
    dataset = study.data.load()
    check_plan(study, dataset)
    check_needs(study, dataset, place / "candidates", here=scheduler is None)
    check_place(place, config, overwrite=overwrite)
    cluster = cluster_pool(scheduler, place / "candidates")  # that one answers is known before anything is written
    if cluster is not None:
        cluster.close()
    make_directory(place)
    with StudyStore(place / "candidates") as store:
        store.begin(study, dataset_record(dataset, previous_start(store, overwrite)), overwrite=overwrite)
        if overwrite:
            _clear(place)
        context = StudyContext(study, store)
        context.__dict__["dataset"] = dataset
        reporter = make_reporter(progress)
        write_text(place / "search.json", _json(config, {}))
        crew = _Crew(context, reporter, workers, scheduler)
        found = Search(place, config, tuple(_in_order(_climb(config, crew))), outcome=crew.outcome)
        found = replace(_finished(found, crew), outcome=crew.outcome)
        write_text(place / "search.json", _json(config, found.record()))
    return found


def rungs_of(config: SearchConfig) -> tuple[Rung, ...]:
    """The rungs of a search; its trainings all last equally long."""
    return config.rungs(TrainingConfig(**config.recipe).epochs)


def rung_graph(config: SearchConfig, dataset: Dataset, keys: Sequence[RunKey], rung: Rung) -> TaskGraph:
    """The tasks of a rung: train each candidate so far, and estimate its held-out likelihood there."""
    return build_rung_graph(config.study(), dataset, keys, rung.epochs, config.likelihood)


@dataclass
class _Crew:
    """Who does the tasks, one graph after the other, and what became of all of them."""

    context: StudyContext
    reporter: StudyReporter
    workers: int | None
    scheduler: str | None
    outcome: Outcome = field(default_factory=lambda: Outcome((), ()))

    def do(self, graph: TaskGraph) -> Outcome:
        """What became of the tasks of one graph."""
        store = self.context.store
        pool = cluster_pool(self.scheduler, store.directory) or pool_here(self.context, self.reporter, self.workers)
        now, before = execute(graph, store, pool, self.reporter), self.outcome
        failures = {**before.failures, **now.failures}
        self.outcome = Outcome(before.computed + now.computed, before.skipped + now.skipped, failures)
        return now


def _climb(config: SearchConfig, crew: _Crew) -> list[Candidate]:
    """Rung by rung; every candidate with what it came to."""
    context = crew.context
    candidates = {key: Candidate(key, values) for key, values in config.named().items()}
    alive = list(candidates)
    for number, rung in enumerate(rungs_of(config)):
        outcome = crew.do(rung_graph(config, context.dataset, alive, rung))
        for key in alive:
            candidates[key] = _scored(context, candidates[key], number, rung, outcome.failures)
        ranked = survivors([candidates[key] for key in alive], len(alive))
        following = rungs_of(config)[number + 1 :][:1]
        alive = [one.key for one in ranked[: following[0].places]] if following else []
        if not alive:
            break
    return list(candidates.values())


def _scored(
    context: StudyContext, candidate: Candidate, number: int, rung: Rung, failures: Mapping[str, str]
) -> Candidate:
    """What a rung found of a candidate."""
    update = rung.epochs * context.config.training(candidate.key).updates_per_epoch(len(context.dataset.train))
    name = f"likelihood/{candidate.key}/{update}"
    own = [reason for task, reason in failures.items() if task.startswith(f"train/{candidate.key}")]
    failure = (own or [failures.get(name, "")])[0]
    score = None if failure else read_score(context.store, candidate.key, update)
    return candidate.scored(number, rung.epochs, score, failure)


def _in_order(candidates: list[Candidate]) -> list[Candidate]:
    """The best first, rung by rung, failed ones last of their rung."""
    found: list[Candidate] = []
    for rung in sorted({one.rung for one in candidates}, reverse=True):
        here = [one for one in candidates if one.rung == rung]
        found += survivors(here, len(here)) + [one for one in here if one.failure]
    return found


def _finished(found: Search, crew: _Crew) -> Search:
    """With the winner's run copied to ``best/``, scored on the test data, looked at, and compared with the others."""
    best, place = found.winner, found.directory / "best"
    if best is None:
        remove_tree(place)
        return found
    source = found.run(best)
    if not _is_copy(place, source.directory):
        remove_tree(place)
        copy_tree(source.directory, place, "lock", ".*")
    context, task = crew.context, f"quality/{best.key}"
    crew.do(build_quality_graph(context.config, context.dataset, best.key))
    quality = next(iter(context.store.outcomes(task)), None) if task not in crew.outcome.failures else None
    candidates = tuple(_compared(found, one, best, context.dataset) for one in found.candidates)
    return replace(found, candidates=candidates, test=_tested(found, best, context.dataset), quality=quality)


def _compared(found: Search, one: Candidate, best: Candidate, dataset: Dataset) -> Candidate:
    """With how far it is behind the best, where both were trained equally long and can be compared.

    The rows are the same for both, so that the error of the difference is that of the mean over rows of differences,
    and of both ln Z.
    """
    if one is best or not one.converged or one.rung != best.rung or one.score is None or best.score is None:
        return one
    scores = [_row_scores(found.run(each), each, dataset) for each in (best, one)]
    _, rows = mean_and_error(scores[0] - scores[1], scored_weights(dataset))
    error = math.hypot(rows, one.score.stderr or 0.0, best.score.stderr or 0.0)
    return replace(one, behind=Estimate(best.score.value - one.score.value, error))


def _row_scores(run: Run, one: Candidate, dataset: Dataset) -> Tensor:
    """(n,) -F(v) of the rows, at the end of the candidate's rung."""
    model = run.load(one.epochs * run.updates_per_epoch)
    return log_weight(model, scored_data(model, dataset))


def _is_copy(place: Path, source: Path) -> bool:
    """Whether a run's record and metrics are those of another place."""
    names = ("config.json", "metrics.jsonl")
    return all((place / name).is_file() and filecmp.cmp(place / name, source / name, False) for name in names)


def _tested(found: Search, best: Candidate, held_out: Dataset) -> Score | None:
    """The same ln Z with the rows of the test data."""
    whole = found.config.data.load()
    if not len(whole.test) or best.score is None:
        return None
    run = found.run(best)
    means = [mean_and_error(_row_scores(run, best, data), scored_weights(data)) for data in (whole, held_out)]
    value = best.score.value + means[0][0] - means[1][0]
    return Score(value, best.score.stderr, means[0][1], best.score.converged, best.score.method)


@checked
def open_search(directory: str | os.PathLike[str]) -> Search:
    """Open a search's directory for reading.

    Raises
    ------
    StudyError : it holds no search, or one that is not finished
    FormatError : its search.json is damaged or of a newer release
    """
    place = Path(directory)
    config, record = read_search(place)
    if "candidates" not in record:
        raise StudyError(f"the search in {place} is not finished; go on with rbmscape search {place}")
    known = {str(key): key for key in config.named()}
    candidates = tuple(_candidate(known[row["run"]], row) for row in record["candidates"])
    test = record["test_log_likelihood"]
    score = None if test is None else Score(**test)
    return Search(place, config, candidates, score, record["quality"])


def _candidate(key: RunKey, row: Mapping[str, Any]) -> Candidate:
    score = None if row["log_likelihood"] is None else Score(**row["log_likelihood"])
    behind = None if row["behind"] is None else Estimate(**row["behind"])
    return Candidate(key, row["values"], row["rung"], row["epochs"], score, row["failure"], behind)


def read_search(place: Path) -> tuple[SearchConfig, dict[str, Any]]:
    """The plan of a search, and what is known of its candidates.

    Raises
    ------
    StudyError : the directory holds no search
    FormatError : search.json is damaged or of a newer release
    """
    path = place / "search.json"
    if not path.is_file():
        raise StudyError(f"{place} holds no search (there is no search.json); give a plan or the directory of a search")
    record = read_json(path)
    check_schema(record, SEARCH_FORMAT, path)
    return SearchConfig.from_mapping(record["config"]), record


def _json(config: SearchConfig, found: Mapping[str, Any]) -> str:
    head = {"format": SEARCH_FORMAT, "schema": SCHEMA, "config": config.model_dump(mode="json")}
    return json.dumps(with_digest(head | dict(found)), indent=2) + "\n"


def check_place(place: Path, config: SearchConfig, *, overwrite: bool) -> None:
    """Refuse a directory that holds other files, or another search that is to be continued.

    Raises
    ------
    StudyError : it does
    """
    strangers = [path.name for path in place.iterdir() if path.name not in CONTENTS] if place.is_dir() else []
    strangers = [name for name in strangers if not name.endswith(".part")]
    is_there = (place / "search.json").is_file()
    if strangers or (place.is_dir() and not is_there and any(place.iterdir())):
        found = strangers[0] if strangers else "files of a search without its search.json"
        raise StudyError(
            f"{place} holds other files ({found}), which a search would mix with; choose an empty or new directory"
        )
    if is_there and not overwrite and read_search(place)[0] != config:
        raise StudyError(
            f"{place} holds a search with another plan; choose another directory, or pass --overwrite to start it "
            "again from nothing"
        )


def _clear(place: Path) -> None:
    remove_tree(place / "best")
    for name in ("report.html", "search.json"):
        remove_file(place / name)
