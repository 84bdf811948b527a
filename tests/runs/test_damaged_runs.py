"""Damaged runs: the same result, or one sentence that names the file; never another result without a word.

Each kind of damage is done to copies of one finished run, at places that a fixed seed chooses; `outcome` says what a
user gets from opening, reading and resuming it.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.digests import bytes_digest
from rbmscape.errors import DamagedError, DamagedFileWarning, DiskError, RbmscapeError, RunExistsError
from rbmscape.files import TEMPORARY_SUFFIX, read_tensors, write_tensors
from rbmscape.runs.layout import RunLayout

DATA = rs.Dataset.from_array((np.random.default_rng(0).random((80, 12)) < 0.4).astype(np.uint8))
CONFIG = rs.TrainingConfig(n_hidden=5, epochs=3, batch_size=20, n_chains=20, gibbs_steps=1, early_checkpoints=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    rs.train(DATA, CONFIG, directory, progress=False)
    return directory


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    directory = tmp_path_factory.mktemp("half") / "run"
    rs.train(DATA, CONFIG, directory, progress=False, until_update=7)
    return directory


@pytest.fixture
def copied(tmp_path):
    def copy(source, name="copy"):
        target = tmp_path / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        return target

    return copy


def numbers(directory):
    """A digest of all that a run says: its recipe, models, metrics and chains; times apart."""
    run = rs.Run.open(directory)
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "updates_per_second")} for row in run.rows]
    parts = [repr(run.config), json.dumps(rows), json.dumps(run.data, sort_keys=True), str(run.updates)]
    models = [run.load(-1)] + [run.load(update, averaged) for update in run.updates for averaged in (True, False)]
    tensors = [part for rbm in models for part in (rbm.weights, rbm.visible_bias, rbm.hidden_bias)] + [run.chains]
    return bytes_digest(*(part.encode() for part in parts), *(tensor.numpy().tobytes() for tensor in tensors))


def flip_bit(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(content))


def truncate(path, rng):
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def zero_block(path, rng):
    content = bytearray(path.read_bytes())
    start = rng.integers(len(content))
    content[start : start + 64] = bytes(len(content[start : start + 64]))
    path.write_bytes(bytes(content))


def change_digit(path, rng):
    content = bytearray(path.read_bytes())
    digits = [i for i, byte in enumerate(content) if 48 <= byte < 58]
    if digits:
        place = digits[rng.integers(len(digits))]
        content[place] = 48 + (content[place] - 48 + 1 + rng.integers(8)) % 10
    path.write_bytes(bytes(content))


def lose_line(path, rng):
    lines = path.read_bytes().split(b"\n")
    del lines[rng.integers(len(lines))]
    path.write_bytes(b"\n".join(lines))


def delete(path, _rng):
    path.unlink()


def not_utf8(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] = 0xFF
    path.write_bytes(bytes(content))


DAMAGES = (flip_bit, truncate, zero_block, change_digit, lose_line, delete, not_utf8)


def files_of(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "lock")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_no_damage_changes_results_without_a_word(whole, half, copied, damage):
    """Every file of a run, opened and read; and of a run that is half trained, resumed to its end."""
    rng = np.random.default_rng([7, DAMAGES.index(damage)])
    expected = numbers(whole)
    for source, resumed in ((whole, False), (half, True)):
        for path in files_of(source):
            directory = copied(source)
            damage(directory / path.relative_to(source), rng)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    if resumed:
                        rs.train(DATA, CONFIG, directory, resume=True, progress=False)
                    found = numbers(directory)
                except RbmscapeError as error:
                    found, words = None, str(error)
            if found is None:
                assert words
                assert "\n" not in words
                continue
            spoken = any(issubclass(one.category, DamagedFileWarning) for one in said)
            assert found == expected or spoken, f"{damage.__name__} of {path.name} went unnoticed"


def test_check_finds_every_damaged_file(whole, copied):
    assert rs.check(whole) == []
    rng = np.random.default_rng(3)
    for path in files_of(whole):
        for damage in (flip_bit, zero_block, truncate):
            directory = copied(whole)
            before = path.read_bytes()
            damage(directory / path.relative_to(whole), rng)
            if (directory / path.relative_to(whole)).read_bytes() != before:
                assert rs.check(directory), f"{damage.__name__} of {path.name}"


def test_files_of_another_run_are_noticed(whole, copied, tmp_path):
    other = tmp_path / "other"
    rs.train(DATA, CONFIG.replace(seed=1), other, progress=False)
    one, two = RunLayout(copied(whole)), RunLayout(other)
    shutil.copy(two.checkpoint(4), one.checkpoint(4))
    with pytest.raises(DamagedError, match="belongs to another run"):
        rs.Run.open(one.root).load(4)
    shutil.copy(one.checkpoint(8), one.checkpoint(4))
    with pytest.raises(DamagedError, match="holds update 8, which is not its name"):
        rs.Run.open(one.root).load(4)
    shutil.copy(two.metrics, one.metrics)
    shutil.copy(two.state, one.state)
    words = " ".join(finding.words for finding in rs.check(one.root))
    assert "belongs to another run" in words


def test_a_damaged_last_checkpoint_falls_back_and_says_so(whole, copied):
    layout = RunLayout(copied(whole))
    flip_bit(layout.checkpoint(12), np.random.default_rng(0))
    run = rs.Run.open(layout.root)
    with pytest.warns(DamagedFileWarning, match="update-00000012.*the model of update 8, the one before, is taken"):
        rbm = run.load()
    assert torch.equal(rbm.weights, rs.Run.open(whole).load(8).weights)
    with pytest.raises(DamagedError, match="update-00000012"):
        run.load(12)


def test_a_damaged_state_resumes_from_the_one_before_to_the_same_bits(whole, half, copied):
    layout = RunLayout(copied(half))
    layout.state.write_bytes(layout.state.read_bytes()[:-5])
    with pytest.warns(DamagedFileWarning, match=r"state-before\.safetensors, the state at update 4, is taken"):
        rs.train(DATA, CONFIG, layout.root, resume=True, progress=False)
    assert numbers(layout.root) == numbers(whole)
    layout.state.write_bytes(b"")
    layout.former_state.write_bytes(b"")
    with pytest.raises(DamagedError, match=r"state\.safetensors is not a whole"):
        rs.train(DATA, CONFIG.replace(epochs=3), layout.root, resume=True, progress=False)


def test_equal_runs_are_equal_files(whole, tmp_path):
    rs.train(DATA, CONFIG, tmp_path / "again", progress=False)
    for path in files_of(whole):
        if path.suffix == ".safetensors" and not path.name.startswith("state"):
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(whole)).read_bytes(), path.name


def test_replacing_follows_no_link_and_says_what_it_cannot_remove(whole, copied, tmp_path):
    directory = copied(whole)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(directory / "checkpoints", elsewhere)
    (directory / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(DiskError, match="checkpoints is a symbolic link"):
        rs.train(DATA, CONFIG, directory, overwrite=True, progress=False)
    assert list(elsewhere.iterdir())
    with pytest.raises(RunExistsError):
        rs.train(DATA, CONFIG, directory, progress=False)


class Vandal:
    """A reporter that, when training has begun, does something to its directory."""

    def __init__(self, act):
        self._act = act

    def start(self, what, total): ...

    def advance(self, _done, status=None):
        if status is not None and status.update == 5 and self._act is not None:
            self._act()
            self._act = None

    def stop(self): ...


@pytest.mark.parametrize("everything", [True, False])
def test_a_lock_that_is_removed_stops_the_writer(tmp_path, everything):
    directory = tmp_path / "run"
    act = (lambda: shutil.rmtree(directory)) if everything else (directory / "lock").unlink
    with pytest.raises(DiskError, match="lock was removed or replaced while it was in use"):
        rs.train(DATA, CONFIG, directory, progress=Vandal(act))
    assert directory.exists() is not everything


def test_writers_of_one_path_never_tear_it(tmp_path):
    """Four threads write a file of their own content, two read it: every read is whole."""
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "model.safetensors"
    contents = [{"x": torch.full((200,), float(k))} for k in range(4)]
    write_tensors(path, contents[0], {})

    def write(k):
        for _ in range(40):
            write_tensors(path, contents[k], {})

    def read():
        for _ in range(80):
            values = set(read_tensors(path)[0]["x"].tolist())
            assert len(values) == 1

    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(write, k) for k in range(4)] + [pool.submit(read) for _ in range(2)]
        for one in work:
            one.result()
    assert not list(tmp_path.glob(f".*{TEMPORARY_SUFFIX}"))


def test_nothing_is_written_through_a_link_at_the_temporary_name(tmp_path, monkeypatch):
    from rbmscape import files

    target, secret = tmp_path / "a.json", tmp_path / "secret"
    secret.write_text("mine")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _n: "0000")
    os.symlink(secret, files.temporary_name(target))
    files.write_text(target, "ours")  # the link is swept, as the rest of a killed writer would be
    assert (secret.read_text(), target.read_text(), target.is_symlink()) == ("mine", "ours", False)
    os.symlink(secret, files.temporary_name(target))
    monkeypatch.setattr(files, "sweep", lambda *_: None)
    with pytest.raises(DiskError, match=r"a\.json could not be written"):
        files.write_text(target, "theirs")
    assert (secret.read_text(), target.read_text()) == ("mine", "ours")
