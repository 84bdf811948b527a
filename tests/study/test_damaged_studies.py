"""A damaged study that is run again ends with what it had: what is damaged is computed again, and nothing else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.errors import DamagedError
from rbmscape.study.study import Study, run_study


@pytest.fixture(scope="module")
def whole(tiny_plan, tmp_path_factory):
    plan = tiny_plan.model_copy(update={"hidden": (2,), "figures": ("likelihood",)})
    study = run_study(plan, tmp_path_factory.mktemp("whole") / "s", progress=False)
    assert study.outcome.failures == {}
    return study


def what_it_says(study):
    """All numbers of the runs and results."""
    found = {}
    for key, run in study.runs.items():
        for update in run.updates:
            found[f"{key}/{update}"] = run.load(update).weights.numpy().tobytes()
    for name in study.result_names():
        dataset = study.result(name)
        found |= {f"{name}/{one}": dataset[one].values.tobytes() for one in dataset.variables if one != "seconds"}
    return {name: value for name, value in found.items() if "second" not in name}


def damage(path, rng):
    kind = rng.integers(3)
    content = bytearray(path.read_bytes())
    place = rng.integers(len(content))
    if kind == 0:
        content[place] ^= 1 << rng.integers(8)
    elif kind == 1:
        content = content[:place]
    else:
        content[place : place + 32] = bytes(len(content[place : place + 32]))
    path.write_bytes(bytes(content))


def test_every_damaged_file_is_made_again(whole, tmp_path):
    """Each file of the study once, and half of them deleted: run again, all numbers are those of before."""
    rng = np.random.default_rng(11)
    expected = what_it_says(whole)
    files = [path for path in sorted(whole.directory.rglob("*")) if path.is_file() and path.name != "lock"]
    files = [path for path in files if path.suffix not in (".pdf", ".log") and path.name != "study.json"]
    assert len(files) > 20
    for path in files:
        place = tmp_path / "copy"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole.directory, place)
        target = place / path.relative_to(whole.directory)
        target.unlink() if rng.random() < 0.3 else damage(target, rng)
        again = run_study(whole.config, place, progress=False)
        assert again.outcome.failures == {}, path.name
        assert what_it_says(again) == expected, path.name
        assert not [finding for finding in rs.check(place) if not finding.harmless], path.name


def test_nothing_is_done_again_where_nothing_is_damaged(whole):
    assert run_study(whole.config, whole.directory, progress=False).outcome.computed == ()
    assert rs.check(whole.directory) == []


def test_a_result_with_another_number_is_not_read(whole, tmp_path):
    place = shutil.copytree(whole.directory, tmp_path / "copy")
    study = Study(place)
    dataset = study.result("likelihood")
    dataset["value" if "value" in dataset else next(iter(dataset.data_vars))][...] = 0.5
    dataset.to_netcdf(place / "results" / "likelihood.nc", engine="h5netcdf")
    with pytest.raises(DamagedError, match=r"likelihood\.nc is not what was written; compute it again with"):
        study.result("likelihood")
    assert [finding.path.name for finding in rs.check(place)] == ["likelihood.nc"]


def test_a_changed_plan_is_said(whole, tmp_path):
    place = shutil.copytree(whole.directory, tmp_path / "copy")
    record = json.loads((place / "study.json").read_text())
    record["config"]["seed"] += 1
    (place / "study.json").write_text(json.dumps(record))
    with pytest.raises(DamagedError, match=r"study\.json is not what was written"):
        Study(place)
