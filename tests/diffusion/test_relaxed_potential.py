"""U_eff with the other modes relaxed, against a direct constrained minimisation and against the exact P(u)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import comb

from rbmscape.diffusion.effective_potential import EffectivePotential
from rbmscape.diffusion.relaxed_potential import relaxed_branches, relaxed_potential
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.rbm import RBM


def model(scale: float, seed: int = 0) -> RBM:
    generator = np.random.default_rng(seed)
    return RBM(generator.normal(0, scale, (7, 5)), generator.normal(0, 0.4, 7), generator.normal(0, 0.4, 5))


@pytest.mark.parametrize("branch", ["u", "w"])
def test_branch_is_the_constrained_minimum(branch: str) -> None:
    rbm, beta = model(0.4), 1.2
    potential = EffectivePotential(rbm, beta)
    index = (0 if branch == "u" else 5) + 1
    z, energy, residual = relaxed_branches(
        rbm, potential.modes, 1, np.full((1, 7), 0.5), [-2.0, 0.0, 1.5], branch, beta
    )
    assert residual.max() < 1e-9
    size = 12
    for point, expected in zip(z[:, 0], energy[:, 0], strict=True):
        start = potential.z(np.full(7, 0.5), np.full(5, 0.5)).numpy()

        def objective(rest: np.ndarray, point: float = point) -> tuple[float, np.ndarray]:
            full = torch.from_numpy(np.insert(rest, index, point))
            value = float(potential.value(full))
            if not np.isfinite(value):
                return 1e3, np.zeros(size - 1)
            return value, np.delete(potential.gradient(full).numpy(), index)

        best = minimize(objective, np.delete(start, index), jac=True, method="BFGS", options={"gtol": 1e-9})
        assert best.fun == pytest.approx(float(expected), abs=1e-6)


def test_tilt_is_the_slope_of_the_relaxed_potential() -> None:
    """dU/dz_i = t/β along a branch (envelope theorem)."""
    rbm = model(0.4, seed=1)
    modes = EffectivePotential(rbm).modes
    tilts = np.linspace(-1, 1, 41)
    z, energy, _ = relaxed_branches(rbm, modes, 0, np.full((1, 7), 0.5), tilts)
    slope = np.gradient(energy[:, 0], z[:, 0])
    np.testing.assert_allclose(slope[2:-2], tilts[2:-2], atol=2e-3)


def test_envelope_of_a_ferromagnet_is_its_double_well() -> None:
    """Equal couplings of 150 and 100 units in a weak field, where P(u) is exact from the two layers' bit counts."""
    n_visible, n_hidden, strength, field = 150, 100, 4.8, 0.02
    weight = strength / math.sqrt(n_visible * n_hidden)
    biases = -0.5 * weight * n_hidden + field, -0.5 * weight * n_visible
    rbm = RBM(np.full((n_visible, n_hidden), weight), np.full(n_visible, biases[0]), np.full(n_hidden, biases[1]))
    modes = EffectivePotential(rbm).modes
    k, j = np.arange(n_visible + 1)[:, None], np.arange(n_hidden + 1)[None]
    log_p = np.log(comb(n_visible, k)) + np.log(comb(n_hidden, j)) + weight * k * j + biases[0] * k + biases[1] * j
    probability = np.exp(log_p - log_p.max())
    origin = float(modes.saddle_x[0] + modes.saddle_y[0]) / math.sqrt(2)
    u = (k / math.sqrt(n_visible) + j / math.sqrt(n_hidden)) / math.sqrt(2) - origin
    edges = np.linspace(-6, 6, 41)
    counts = np.histogram(u, edges, weights=probability)[0]
    centres = (edges[1:] + edges[:-1]) / 2
    starts = np.vstack([np.zeros(n_visible), np.ones(n_visible)])
    relaxed = relaxed_potential(rbm, modes, 0, centres, starts)
    found = np.isfinite(relaxed) & (relaxed < 8)
    assert found.sum() > 20
    assert found[13:27].all()  # the concave part between the wells, which is no minimum of any tilt, among them
    exact = -np.log(counts)
    offset = np.median((exact - relaxed)[found])
    assert np.abs(exact - relaxed - offset)[found].max() < 0.7
    wells = [np.nanmin(relaxed[:20]), np.nanmin(relaxed[20:])]
    assert wells[0] - wells[1] == pytest.approx(exact[:20].min() - exact[20:].min(), abs=0.15)
    assert wells[0] - wells[1] > 1  # the field decides; mirrored, the difference would have the other sign


def test_no_jump_where_branches_cross() -> None:
    """Three stored patterns: branches of many wells cross, and the lowest of them is continuous in z."""
    generator = np.random.default_rng(3)
    patterns = [generator.choice([-1.0, 1.0], (size, 3)) for size in (60, 40)]
    weights = patterns[0] * [1.0, 0.8, 0.7] @ patterns[1].T * (7.0 / math.sqrt(60 * 40))
    rbm = RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    modes = EffectivePotential(rbm).modes
    starts = generator.integers(0, 2, (6, 60))
    coarse, fine = (np.linspace(-4.5, 4.5, count) for count in (46, 91))
    values = [relaxed_potential(rbm, modes, 0, points, starts) for points in (coarse, fine)]
    assert all(np.isfinite(one).all() for one in values)
    assert np.ptp(values[1]) > 4
    steps = [np.abs(np.diff(one)).max() for one in values]
    assert steps[1] < 0.7 * steps[0]  # a jump would be as high on the finer grid
    np.testing.assert_allclose(values[1][::2], values[0], atol=0.05)


def test_bad_input() -> None:
    rbm = model(0.4)
    modes = EffectivePotential(rbm).modes
    with pytest.raises(InputError, match="mode 5 does not exist"):
        relaxed_branches(rbm, modes, 5, np.full((1, 7), 0.5), [0.0])
    with pytest.raises(InputError, match="branch must be one of"):
        relaxed_branches(rbm, modes, 0, np.full((1, 7), 0.5), [0.0], "x")
    with pytest.raises(ShapeError):
        relaxed_branches(rbm, modes, 0, np.full((1, 6), 0.5), [0.0])
