"""Public functions work where the model is, on a device that lets nothing be read without asking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from other_device import NAME, is_possible, present

import rbmscape as rs
from rbmscape.kernels.reference.engine import ReferenceEngine
from rbmscape.rng import Stream
from rbmscape.training.ladder.climb import Effort, climb
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import base_ladder, base_model
from rbmscape.training.ladder.sweep import sweep

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs a torch to which Python can add a device")
N, M = 12, 5
ROWS = (np.random.default_rng(0).random((40, N)) < 0.4).astype(np.uint8)
GAPS = np.where(np.arange(N) < 4, 1.0, np.nan)
HIDDEN = np.zeros((40, M))

CALLS = {
    "free_energy": lambda m: m.free_energy(ROWS),
    "energy": lambda m: m.energy(ROWS, HIDDEN),
    "hidden_probability": lambda m: m.hidden_probability(ROWS),
    "modes": lambda m: rs.Modes.of(m).singular_values,
    "project": lambda m: rs.Modes.of(m).project(ROWS, HIDDEN).z,
    "landau": lambda m: rs.landau(m, 0).gamma,
    "mean_field": lambda m: rs.mean_field(m).free_energy,
    "kurtosis": lambda m: rs.kurtosis(m).x,
    "effective_couplings": rs.effective_couplings,
    "bosons": lambda m: rs.boson_spectrum(m).frequencies,
    "bosons of data": lambda m: rs.boson_spectrum(m, reference="data", data=ROWS).frequencies,
    "potential": lambda m: rs.EffectivePotential(m).value(np.zeros(N + M)),
    "rotation_divergence": lambda m: rs.rotation_divergence(m).value,
    "rotated_weights": rs.rotated_weights,
    "log_partition": lambda m: rs.log_partition(m, "exact").value,
    "ais": lambda m: rs.log_partition(m, "ais", n_chains=20, n_betas=20, engine="reference").value,
    "log_likelihood": lambda m: rs.log_likelihood(m, ROWS, method="exact").value,
    "log_probability": lambda m: rs.log_probability(m, ROWS).value,
    "sample": lambda m: rs.sample(m, n_chains=10, n_steps=3, engine="reference").v,
    "equilibrium_samples": lambda m: rs.equilibrium_samples(m, 20, engine="reference").v,
    "conditional_samples": lambda m: rs.conditional_samples(m, GAPS, n_samples=5, engine="reference").v,
}


def model():
    return rs.RBM.random(N, M, std=0.5)


QUICK = "energy", "modes", "project", "landau", "log_likelihood"


@pytest.mark.parametrize(
    "call",
    [pytest.param(call, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, call in CALLS.items()],
)
def test_a_function_gives_the_same_where_the_model_is_elsewhere(call):
    expected = torch.as_tensor(call(model()))
    with present():
        found = call(model().to(device=NAME))
        found = found.cpu() if isinstance(found, torch.Tensor) else torch.as_tensor(found)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def grown(device):
    """A ladder of training in equilibrium that climbed to the model and was swept twice."""
    rbm = model().to(device=device)
    machine = Machine(ReferenceEngine("fp32", torch.device(device)).annealer())
    ladder = base_ladder(machine, base_model(rbm), 10, 10, Stream(1, "base"))
    found = climb(
        machine, ladder, rbm, ladder.top.flat[:40].clone(), Effort(10, 4, max_rounds=32), Stream(2, "climb"), 1
    )
    ladder = found.ladder
    for _ in range(2):
        ladder = sweep(machine, ladder, 4, Stream(3, "sweeps"))
    return ladder.log_partition, found.chains.cpu(), ladder.top.states.cpu()


def test_a_ladder_of_training_climbs_and_is_swept_elsewhere():
    expected = grown("cpu")
    with present():
        found = grown(NAME)
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[2], expected[2])


def test_the_device_refuses_what_a_gpu_refuses():
    with present():
        there, here = torch.ones(3).to(NAME), torch.ones(3)
        assert float((there + there).sum()) == 6.0
        assert torch.equal(there.cpu(), here)
        mask = there > 0.0
        for refused in (there.numpy, lambda: np.asarray(there), lambda: there + here, lambda: here[mask]):
            with pytest.raises(RuntimeError):
                refused()
