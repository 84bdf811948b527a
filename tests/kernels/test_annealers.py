"""Annealers beyond `test_conformance`: what a weight is, exact integer products, and which goes with which engine."""

from __future__ import annotations

import pytest
import torch
from conformance import STREAM, path_ends, random_states, walked

from rbmscape.kernels import Parameters, select_engine
from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer
from rbmscape.kernels.integers.annealing import IntegerAnnealer
from rbmscape.kernels.integers.engine import IntegerEngine
from rbmscape.kernels.llvm.amx import has_tiles
from rbmscape.kernels.reference.annealing import ReferenceAnnealer
from rbmscape.kernels.select import has_table_lookup


def test_increment_is_the_ratio_of_the_two_densities():
    model, base = path_ends(7, 4, 2.0)
    weights, a, b, a0, b0 = (x.double() for x in (model.weights, model.visible_bias, model.hidden_bias, *base))
    path = ReferenceAnnealer().bind(Parameters(weights, a, b), 9, (a0, b0))
    v = random_states(9, 7, 0).to(torch.float64)
    path.load(v)
    found = torch.zeros(9, dtype=torch.float64)
    path.weigh(found, 0.3, 0.8)
    hidden = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)

    def log_density(t):
        field = v @ weights * t + (1 - t) * b0 + t * b
        return v @ ((1 - t) * a0 + t * a) + torch.logsumexp(field @ hidden.T, 1)

    torch.testing.assert_close(found, log_density(0.8) - log_density(0.3), rtol=0, atol=1e-12)


def test_integer_products_are_exact():
    weights = path_ends(400, 33, 5.0)[0].weights
    path = ByteAnnealer().bind(Parameters(weights, torch.zeros(400), torch.zeros(33)), 50)
    assert (path.weights - weights).abs().max() <= 0.5001 * path.scale
    assert path.scale == pytest.approx(float(weights.abs().max()) / 32384, rel=1e-6)
    v = (STREAM.uniform(3, 50, 400) < 0.5).to(torch.int8)
    product = torch.zeros(50, 66, dtype=torch.int32)
    path._multiply(v, path._factors.to_hidden, product)
    high, low = product.to(torch.float64).chunk(2, dim=1)
    exact = v.to(torch.float64) @ path.weights
    torch.testing.assert_close(path.scale * (254 * high + low), exact, rtol=0, atol=1e-9)


@pytest.mark.skipif(not (has_table_lookup() and has_tiles()), reason="needs AVX-512 and tiles of bytes (AMX)")
def test_tables_and_tiles_draw_the_same_and_weigh_alike():
    one, other = (walked(engine.annealer(), path_ends(300, 260), n_chains=70) for engine in IntegerEngine.variants())
    assert torch.equal(one[1], other[1])
    assert torch.equal(one[2], other[2])
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=1e-4)


def test_which_annealer_goes_with_which_engine(monkeypatch):
    if has_table_lookup():
        assert isinstance(select_engine("cpu").annealer(), IntegerAnnealer)
    assert isinstance(select_engine("cpu", "fp32").annealer(), FloatAnnealer)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    assert isinstance(select_engine("cpu", "bf16").annealer(), ByteAnnealer)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert isinstance(select_engine("cpu", "bf16").annealer(), FloatAnnealer)
    for precision in ("fp32", "fp64"):
        chosen = select_engine("reference", precision).annealer()
        assert isinstance(chosen, ReferenceAnnealer)
        assert chosen.dtype == torch.float64
