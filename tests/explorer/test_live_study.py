"""A study that is still computing: runs appear, end and go, the ledger fills in, and nobody starts anything again."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.explorer.test_server import ask

from rbmscape.explorer.catalogue import open_path
from rbmscape.explorer.server import ExplorerServer
from rbmscape.study.config import DataPlan, StudyConfig
from rbmscape.study.store import StudyStore


@pytest.fixture
def study(tmp_path):
    """A study's directory in which nothing has been trained, and its explorer."""
    plan = StudyConfig(name="slow", data=DataPlan(source="planted"), hidden=(12,), replicas=3, figures=())
    with StudyStore(tmp_path / "study") as store:
        store.begin(plan, {}, overwrite=False)
    found = ExplorerServer(open_path(tmp_path / "study"), port=0)
    found.start()
    yield tmp_path / "study", found
    found.close()


def summary(server, run=""):
    status, _, body = ask(server, f"/api/summary{f'?run={run}' if run else ''}")
    return status, json.loads(body)


def begun(run, place, n_checkpoints=None):
    """A copy of a run, as it was when it had so many checkpoints."""
    shutil.copytree(run.directory, place)
    if n_checkpoints is not None:
        for update in run.updates[n_checkpoints:]:
            (place / "checkpoints" / f"update-{update:08d}.safetensors").unlink()
        lines = (place / "metrics.jsonl").read_text().splitlines(keepends=True)
        (place / "metrics.jsonl").write_text("".join(lines[:n_checkpoints]))
        (place / "state.safetensors").unlink()


def test_runs_appear_grow_and_go(study, plain_run):
    place, server = study
    names = [f"M0012-r{k}" for k in range(3)]
    status, found = summary(server)
    assert status == 202
    assert "no run has begun" in found["wait"]
    begun(plain_run, place / "runs" / names[0], 2)
    status, found = summary(server)
    assert status == 200, found
    assert (found["names"], found["complete"]) == (names[:1], False)
    assert found["updates"] == list(plain_run.updates[:2])
    assert ask(server, "/api/view/training")[0] == 200
    for update in plain_run.updates[2:]:
        name = f"checkpoints/update-{update:08d}.safetensors"
        shutil.copy(plain_run.directory / name, place / "runs" / names[0] / name)
    assert summary(server)[1]["complete"]
    (place / "runs" / names[1]).mkdir()
    (place / "runs" / names[1] / "config.json").write_text("{")
    begun(plain_run, place / "runs" / names[2])
    assert summary(server)[1]["names"] == [names[0], names[2]], "one that cannot be read hides no other"
    shutil.rmtree(place / "runs" / names[0])
    status, found = summary(server, names[0])
    assert status == 400
    assert names[2] in found["error"]
    assert summary(server)[1]["names"] == names[2:]
    assert ask(server, f"/api/view/training?run={names[2]}")[0] == 200


def test_a_run_that_was_begun_anew_is_read_anew(study, plain_run, image_run):
    place, server = study
    begun(plain_run, place / "runs" / "M0012-r0")
    assert summary(server)[1]["n_visible"] == 64
    shutil.rmtree(place / "runs" / "M0012-r0")
    begun(image_run, place / "runs" / "M0012-r0")
    (place / "runs" / "M0012-r0" / "config.json").touch()
    assert summary(server)[1]["n_visible"] == 784


def test_the_ledger_fills_in(study, plain_run):
    place, server = study
    begun(plain_run, place / "runs" / "M0012-r0")
    status, _, body = ask(server, "/api/ledger")
    assert status == 202
    assert "no report yet" in json.loads(body)["wait"]
    marks = [summary(server)[1]["ledger"]]
    (place / "results").mkdir(exist_ok=True)
    for counts in ({"holds": 1}, {"holds": 2}):
        (place / "results" / "claims.json").write_text(json.dumps({"counts": counts, "claims": []}))
        assert json.loads(ask(server, "/api/ledger")[2])["counts"] == counts
        marks.append(summary(server)[1]["ledger"])
    assert len(set(marks)) == 3, "pages see that there is something new"


def test_a_run_that_is_deleted_while_it_is_looked_at_is_named(plain_run, tmp_path):
    shutil.copytree(plain_run.directory, tmp_path / "copy")
    server = ExplorerServer(open_path(tmp_path / "copy"), port=0)
    server.start()
    try:
        assert ask(server, "/api/view/symmetry")[0] == 200
        shutil.rmtree(tmp_path / "copy")
        for path in ("/api/summary", "/api/view/symmetry?mode=2", "/api/view/training?update=0", "/api/view/play"):
            status, _, body = ask(server, path)
            assert status == 410, path
            assert "deleted while it was looked at" in json.loads(body)["error"]
    finally:
        server.close()
