"""U_eff with the other modes relaxed, against a direct constrained minimisation and against the exact P(u)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from rbmscape.diffusion.effective_potential import EffectivePotential
from rbmscape.diffusion.relaxed_potential import relaxed_branches, relaxed_potential
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.exact import binary_states
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


def test_envelope_follows_the_exact_density_better_than_no_potential() -> None:
    rbm = model(0.5, seed=2)
    states = binary_states(12)
    v, h = states[:, :7], states[:, 7:]
    modes = EffectivePotential(rbm).modes
    probability = torch.softmax(-rbm.energy(v, h), 0).numpy()
    u = modes.project(v, h).u[:, 0].numpy()
    mean = probability @ u
    spread = np.sqrt(probability @ (u - mean) ** 2)
    edges = mean + spread * np.linspace(-2, 2, 7)
    counts = np.histogram(u, edges, weights=probability)[0]
    relaxed = relaxed_potential(rbm, modes, 0, edges, states[::200, :7], n_tilts=161)
    assert np.isfinite(relaxed).all()
    weight = np.exp(-relaxed)
    distance = 0.5 * np.abs(weight / weight.sum() - counts / counts.sum()).sum()
    assert distance < 0.08
    assert 0.5 * np.abs(1 / 6 - counts / counts.sum()).sum() > 1.5 * distance
    mirrored = weight[::-1] ** 2  # a wrong potential, twice as steep
    assert 0.5 * np.abs(mirrored / mirrored.sum() - counts / counts.sum()).sum() > 1.5 * distance


def test_bad_input() -> None:
    rbm = model(0.4)
    modes = EffectivePotential(rbm).modes
    with pytest.raises(InputError, match="mode 5 does not exist"):
        relaxed_branches(rbm, modes, 5, np.full((1, 7), 0.5), [0.0])
    with pytest.raises(InputError, match="branch must be one of"):
        relaxed_branches(rbm, modes, 0, np.full((1, 7), 0.5), [0.0], "x")
    with pytest.raises(ShapeError):
        relaxed_branches(rbm, modes, 0, np.full((1, 6), 0.5), [0.0])
