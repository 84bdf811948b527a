"""The public sampler: reproducible, independent of batching, with start states that are checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rbmscape as rs
from rbmscape.errors import DataError, EngineError, InputError, ShapeError
from rbmscape.sampling import sample as module


@pytest.fixture(scope="module")
def rbm():
    return rs.RBM.random(12, 7, std=0.5, seed=3)


def test_samples_carry_their_provenance(rbm):
    drawn = rs.sample(rbm, n_chains=4, n_steps=3, seed=8, beta=0.5, engine="cpu", precision="fp32")
    assert drawn.v.shape == (4, 12)
    assert drawn.h.shape == (4, 7)
    assert drawn.v.dtype == drawn.h.dtype == torch.uint8
    assert drawn.how == {
        "samples_method": "Gibbs sampling",
        "samples_chains": 4,
        "samples_steps": 3,
        "samples_seed": 8,
        "samples_beta": 0.5,
        "samples_engine": "cpu",
        "samples_precision": "fp32",
    }
    assert torch.equal(drawn.model.weights, rbm.weights)


def test_plain_chains_are_not_called_equilibrium(rbm):
    drawn = rs.sample(rbm, n_chains=4, n_steps=3)
    assert not drawn.converged
    assert drawn.facts["samples_equilibrated"] == 0
    assert str(drawn.verdict) == "not shown to be in equilibrium: not judged: plain Gibbs chains of 3 steps"
    assert repr(drawn) == f"Samples(4 chains of 12 + 7 units, Gibbs sampling, {drawn.verdict})"


@pytest.mark.parametrize("start", [None, "random", "rows"])
def test_batching_does_not_change_the_chains(rbm, monkeypatch, start):
    """Exactly representable weights, so that no sum depends on the size of a batch."""
    coarse = rs.RBM((rbm.weights * 8).round() / 8, rbm.visible_bias, rbm.hidden_bias)
    rows = np.random.default_rng(0).integers(0, 2, (23, 12)) if start == "rows" else start
    whole = rs.sample(coarse, n_chains=23, n_steps=9, seed=4, start=rows)
    monkeypatch.setattr(module, "CHUNK", 5)
    parts = rs.sample(coarse, n_chains=23, n_steps=9, seed=4, start=rows)
    assert torch.equal(whole.v, parts.v)
    assert torch.equal(whole.h, parts.h)


def test_seed_decides(rbm):
    one, same, other = (rs.sample(rbm, n_chains=50, n_steps=2, seed=seed).v for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_progress_changes_nothing(rbm):
    class Counter:
        seen = 0

        def start(self, what, total):
            assert (what, total) == ("Gibbs steps", 6 * 130)

        def advance(self, done, status=None):
            assert status is None
            self.seen += done

        def stop(self):
            self.stopped = True

    counter = Counter()
    silent = rs.sample(rbm, n_chains=6, n_steps=130, seed=5)
    shown = rs.sample(rbm, n_chains=6, n_steps=130, seed=5, progress=counter)
    assert torch.equal(silent.v, shown.v)
    assert (counter.seen, counter.stopped) == (6 * 130, True)


def test_no_steps_return_the_start(rbm):
    rows = np.random.default_rng(1).integers(0, 2, (9, 12)).astype(bool)
    assert np.array_equal(rs.sample(rbm, n_chains=9, n_steps=0, start=rows).v.numpy(), rows)
    single = rs.sample(rbm, n_chains=3, n_steps=0, start=rows[0]).v.numpy()
    assert np.array_equal(single, np.repeat(rows[:1], 3, axis=0))
    fair = rs.sample(rbm, n_chains=20_000, n_steps=0, start="random").v.double()
    assert float((fair.mean(0) - 0.5).abs().max()) < 4.5 * 0.5 / 20_000**0.5


def test_dataset_rows_are_drawn_without_repetition():
    data = rs.load_dataset("bars-and-stripes")
    model = rs.RBM.random(data.train.shape[1], 3)
    count = len(data.train)
    drawn = rs.sample(model, n_chains=count, n_steps=0, start=data).v.numpy()
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, data.train.tolist()))
    more = rs.sample(model, n_chains=3 * count, n_steps=0, start=data).v.numpy()
    assert set(map(tuple, more.tolist())) <= set(map(tuple, data.train.tolist()))


def test_models_in_double_precision_are_sampled(rbm):
    single, double = (rs.sample(rbm.to(dtype=dtype), 40, 3, precision="fp32").v for dtype in (None, torch.float64))
    assert torch.equal(single, double)


BROKEN = st.floats().filter(lambda number: not number.is_integer())


@given(
    n_chains=st.one_of(st.integers(max_value=0), BROKEN, st.booleans(), st.none()),
    n_steps=st.one_of(st.integers(max_value=-1), st.integers(min_value=2**31), BROKEN, st.booleans()),
    beta=st.one_of(st.floats(max_value=-1e-300), st.just(float("nan")), st.just(float("inf"))),
)
def test_impossible_numbers_are_refused(rbm, n_chains, n_steps, beta):
    for arguments in ({"n_chains": n_chains}, {"n_steps": n_steps}, {"beta": beta}):
        with pytest.raises(InputError, match=r"must be .* found"):
            rs.sample(rbm, **arguments)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"start": "data"}, InputError, "found 'data'"),
        ({"start": np.zeros((3, 12))}, ShapeError, r"must be \(4, 12\).*found \(3, 12\)"),
        ({"start": np.zeros((4, 11))}, ShapeError, r"found \(4, 11\)"),
        ({"start": np.full((4, 12), 0.5)}, DataError, r"start: the value 0\.5 at row 0, column 0"),
        ({"method": "metropolis"}, InputError, "found 'metropolis'"),
        ({"seed": -1}, InputError, "seed must"),
        ({"engine": "tpu"}, EngineError, "found 'tpu'"),
        ({"precision": "fp64", "engine": "cpu"}, EngineError, "reference"),
    ],
)
def test_impossible_requests_are_refused(rbm, arguments, kind, message):
    with pytest.raises(kind, match=message):
        rs.sample(rbm, **{"n_chains": 4, "n_steps": 1} | arguments)
