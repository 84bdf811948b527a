from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rbmscape as rs
from rbmscape.errors import DiskError, FormatError, InputError, ShapeError
from rbmscape.model.rbm import PARAMETER_NAMES


def small_model(seed: int = 0, n_visible: int = 5, n_hidden: int = 3, dtype=np.float64) -> rs.RBM:
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return rs.RBM(*(generator.normal(size=shape).astype(dtype) for shape in shapes))


def test_energy_is_equation_3_term_by_term():
    rbm = small_model()
    generator = np.random.default_rng(1)
    v, h = generator.integers(0, 2, 5), generator.integers(0, 2, 3)
    w, a, b = (t.numpy() for t in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))
    expected = (
        -sum(a[i] * v[i] for i in range(5))
        - sum(b[j] * h[j] for j in range(3))
        - sum(v[i] * w[i, j] * h[j] for i in range(5) for j in range(3))
    )
    assert float(rbm.energy(v, h)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_free_energy_sums_the_hidden_layer(beta):
    rbm = small_model()
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3).to(torch.float64)
    v = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    expected = -torch.logsumexp(-beta * rbm.energy(v.expand(8, 5), states), 0) / beta
    assert float(rbm.free_energy(v, beta)) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("beta", [0.7, 1.0])
def test_conditionals_are_ratios_of_boltzmann_weights(beta):
    rbm = small_model(3)
    v, h = torch.tensor([0.0, 1, 1, 0, 1]), torch.tensor([1.0, 0, 1])
    for unit in range(3):
        on, off = h.clone(), h.clone()
        on[unit], off[unit] = 1.0, 0.0
        odds = torch.exp(-beta * (rbm.energy(v, on) - rbm.energy(v, off)))
        assert float(rbm.hidden_probability(v, beta)[unit]) == pytest.approx(float(odds / (1 + odds)), abs=1e-12)
    for unit in range(5):
        on, off = v.clone(), v.clone()
        on[unit], off[unit] = 1.0, 0.0
        odds = torch.exp(-beta * (rbm.energy(on, h) - rbm.energy(off, h)))
        assert float(rbm.visible_probability(h, beta)[unit]) == pytest.approx(float(odds / (1 + odds)), abs=1e-12)


@given(batch=st.lists(st.integers(1, 3), max_size=3), seed=st.integers(0, 50))
def test_batch_axes_lead_and_every_input_kind_gives_the_same(batch, seed):
    rbm = small_model(seed)
    v = np.random.default_rng(seed).integers(0, 2, (*batch, 5)).astype(np.uint8)
    from_numpy = rbm.free_energy(v)
    assert from_numpy.shape == tuple(batch)
    assert torch.equal(from_numpy, rbm.free_energy(torch.from_numpy(v)))
    assert torch.equal(from_numpy, rbm.free_energy(v.astype(bool)))
    one_by_one = torch.stack([rbm.free_energy(row) for row in v.reshape(-1, 5)])
    torch.testing.assert_close(from_numpy.reshape(-1), one_by_one)


@given(seed=st.integers(0, 100))
def test_a_permutation_of_hidden_units_changes_nothing_visible(seed):
    rbm = small_model(seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(3))
    other = rs.RBM(rbm.weights[:, order], rbm.visible_bias, rbm.hidden_bias[order])
    v = np.random.default_rng(seed + 1).integers(0, 2, (4, 5))
    torch.testing.assert_close(rbm.free_energy(v), other.free_energy(v))


@given(seed=st.integers(0, 100))
def test_flipping_a_visible_unit_is_a_gauge(seed):
    """v_i -> 1 - v_i with a_i -> -a_i, W_i -> -W_i, b -> b + W_i shifts every energy by the same constant a_i."""
    rbm = small_model(seed)
    weights, a, b = rbm.weights.clone(), rbm.visible_bias.clone(), rbm.hidden_bias.clone()
    shift = float(a[0])
    b += weights[0]
    weights[0] *= -1
    a[0] *= -1
    flipped = rs.RBM(weights, a, b)
    v = np.random.default_rng(seed).integers(0, 2, (6, 5))
    mirrored = v.copy()
    mirrored[:, 0] = 1 - mirrored[:, 0]
    torch.testing.assert_close(flipped.free_energy(mirrored), rbm.free_energy(v) + shift)


def test_transposing_exchanges_the_layers():
    rbm = small_model(5)
    v, h = torch.tensor([1.0, 1, 0, 0, 1]), torch.tensor([0.0, 1, 1])
    assert float(rbm.transposed().energy(h, v)) == pytest.approx(float(rbm.energy(v, h)), abs=1e-12)


def test_float32_and_float64_agree_to_single_precision():
    rbm = small_model(7, 30, 20)
    v = np.random.default_rng(0).integers(0, 2, (10, 30))
    single = rbm.to(dtype=torch.float32)
    assert single.free_energy(v).dtype == torch.float32
    torch.testing.assert_close(single.free_energy(v).double(), rbm.free_energy(v), rtol=1e-5, atol=1e-4)


def test_parameters_are_copies():
    weights = np.ones((2, 2))
    rbm = rs.RBM(weights, np.zeros(2), np.zeros(2))
    weights[0, 0] = 9.0
    assert float(rbm.weights[0, 0]) == 1.0


def test_random_models_follow_their_seed_and_standard_deviation():
    one, again, other = (rs.RBM.random(300, 200, std=0.01, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.weights, again.weights)
    assert not torch.equal(one.weights, other.weights)
    n = one.weights.numel()
    assert abs(float(one.weights.mean())) < 5 * 0.01 / n**0.5
    assert abs(float(one.weights.std()) / 0.01 - 1) < 5 / (2 * n) ** 0.5


def test_saved_models_come_back_bit_for_bit(tmp_path):
    for dtype in (np.float32, np.float64):
        rbm = small_model(2, dtype=dtype)
        rbm.save(tmp_path / "model.safetensors")
        loaded = rs.RBM.load(tmp_path / "model.safetensors")
        for name in PARAMETER_NAMES:
            assert torch.equal(getattr(rbm, name), getattr(loaded, name))
            assert getattr(loaded, name).dtype == getattr(rbm, name).dtype


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ((np.zeros(3), np.zeros(3), np.zeros(3)), ShapeError, "must be a matrix"),
        ((np.zeros((0, 3)), np.zeros(0), np.zeros(3)), ShapeError, "must be a matrix"),
        ((np.zeros((2, 3)), np.zeros(3), np.zeros(3)), ShapeError, r"visible_bias must have shape \(2,\)"),
        ((np.zeros((2, 3)), np.zeros(2), np.zeros(2)), ShapeError, r"hidden_bias must have shape \(3,\)"),
        ((np.full((2, 3), np.nan), np.zeros(2), np.zeros(3)), InputError, "6 NaN or infinite"),
        ((np.zeros((2, 3)), np.array([0.0, np.inf]), np.zeros(3)), InputError, "visible_bias holds 1"),
        ((np.array([["a"]]), np.zeros(1), np.zeros(1)), InputError, "entries such as"),
    ],
)
def test_impossible_parameters_are_refused(parameters, error, words):
    with pytest.raises(error, match=words):
        rs.RBM(*parameters)


@pytest.mark.parametrize("call", ["free_energy", "hidden_probability"])
def test_states_of_the_wrong_width_are_refused(call):
    with pytest.raises(ShapeError, match=r"need 5 values on their last axis.*found shape \(4, 6\)"):
        getattr(small_model(), call)(np.zeros((4, 6)))


def test_impossible_random_models_are_refused():
    with pytest.raises(InputError, match="n_visible must be a whole number of at least 1"):
        rs.RBM.random(0, 3)
    with pytest.raises(InputError, match="std"):
        rs.RBM.random(2, 3, std=-1.0)
    with pytest.raises(InputError, match=r"float32 or torch\.float64"):
        small_model().to(dtype=torch.float16)


def test_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(DiskError, match="does not exist"):
        rs.RBM.load(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    small_model().save(damaged)
    damaged.write_bytes(damaged.read_bytes()[:-7])
    with pytest.raises(FormatError, match="not a whole safetensors file"):
        rs.RBM.load(damaged)
    from safetensors.torch import save_file

    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FormatError, match="but not weights"):
        rs.RBM.load(tmp_path / "other.safetensors")
    tensors = {"weights": torch.zeros(2, 2), "visible_bias": torch.zeros(2), "hidden_bias": torch.zeros(2)}
    save_file(tensors, tmp_path / "newer.safetensors", metadata={"schema": "99"})
    with pytest.raises(FormatError, match="update rbmscape"):
        rs.RBM.load(tmp_path / "newer.safetensors")


@pytest.mark.parametrize(
    "states",
    [
        np.array([1.0, np.nan, 0.0]),
        np.array([1, 0, 1j]),
        np.ma.masked_array([1, 0, 1], mask=[0, 1, 0]),
        np.array(["1", "0", "1"]),
        [[1, 0, 1], [1, 0]],
        torch.tensor([1.0, torch.nan, 0.0]),
        torch.ones(3, device="meta"),
    ],
)
@pytest.mark.parametrize("question", ["hidden_probability", "hidden_field"])
def test_states_that_are_no_numbers_are_refused_in_one_sentence(states, question):
    with pytest.raises(InputError, match="visible states"):
        getattr(rs.RBM.random(3, 2), question)(states)


def test_states_of_every_width_and_with_gradients_are_read():
    rbm = rs.RBM.random(3, 2)
    for states in (np.ones(3, dtype=np.longdouble), torch.ones(3, requires_grad=True), torch.ones(3, dtype=torch.int8)):
        assert torch.equal(rbm.free_energy(states).detach(), rbm.free_energy([1, 1, 1]))


@pytest.mark.parametrize(
    "states", [np.array([1, 0, 0])[::-1], np.array([0, 0, 1], dtype=">f4"), np.array([0, 0, 1], dtype=object)]
)
def test_states_in_any_memory_order_are_read(states):
    rbm = rs.RBM.random(3, 2)
    assert torch.equal(rbm.hidden_probability(states), rbm.hidden_probability([0.0, 0.0, 1.0]))


def test_a_bias_that_overflows_the_model_is_refused():
    with pytest.raises(InputError, match="visible_bias"):
        rs.RBM(np.zeros((1, 1), dtype=np.float32), np.array([1e39]), np.zeros(1))
