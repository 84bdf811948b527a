"""What rounding the weights does to a model, and when it does too much.

The fast engines sample a model with rounded weights.  For weights that are not alike the errors of a state average out
(0.2 nats from state to state for 500 hidden units on MNIST); where many weights are alike they add up, and one of two
far modes may lose nats against the other.  Estimates of ln Z correct for that, states cannot.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rbmscape.errors import EngineError
from rbmscape.kernels.interface import Annealer, Engine, ModelLike
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM

__all__ = ["MAX_SHIFT", "faithful_annealer", "log_weight", "rounding"]

MAX_SHIFT = 0.1
"""Standard deviation in nats of what rounding changes -F(v) by, over the states that are sampled."""
_ROWS = 2048
_ENTRIES = 2**23


def log_weight(rbm: RBM, visible: Tensor) -> Tensor:
    """-F(v) = ln Σ_h exp(-E(v, h)) of each row in float64 and in chunks; (n,), exact."""
    double = rbm.to(dtype=torch.float64)
    rows_at_once = max(1, min(_ROWS, _ENTRIES // visible.shape[-1]))
    return torch.cat([-double.free_energy(rows) for rows in torch.split(visible, rows_at_once)])


def rounding(rbm: RBM, params: ModelLike, visible: Tensor) -> Tensor:
    """-F(v) of a model less that of the parameters that an annealer works with in its place; (n,) float64.

    The mean of its exponential over samples of those parameters is the ratio of the partition functions: whatever rests
    on rounded weights needs it to speak of the model itself.
    """
    worked = RBM(params.weights, params.visible_bias, params.hidden_bias)
    same = torch.equal(worked.weights, rbm.weights.to(torch.float64)) and all(
        torch.equal(one.to(torch.float64), other.to(torch.float64))
        for one, other in ((params.visible_bias, rbm.visible_bias), (params.hidden_bias, rbm.hidden_bias))
    )
    if same:
        return torch.zeros(visible.shape[0], dtype=torch.float64, device=visible.device)
    return log_weight(rbm, visible) - log_weight(worked, visible)


def faithful_annealer(
    rbm: RBM, states: Tensor, engine: Engine, annealer: Annealer, precision: str
) -> tuple[Annealer, tuple[str, ...]]:
    """The annealer, or where its rounding would shift the weights of modes that of float32 numbers.

    Parameters
    ----------
    states : (n, N) of all modes that may matter
    precision : that was asked for; only with ``auto`` another one is taken

    Returns
    -------
    The annealer to sample with, and what its rounding says against its samples
    """
    shift = float(rounding(rbm, annealer.bind(rbm, len(states)), states).std())
    if shift <= MAX_SHIFT:
        return annealer, ()
    if precision == "auto":
        try:
            return select_engine(engine.name, "fp32", rbm.device).annealer(), ()
        except EngineError:
            pass
    words = f"the weights as rounded by precision {engine.precision!r} shift states by {shift:.2g} nats"
    return annealer, (f"{words} (at most {MAX_SHIFT:g}); pass precision='fp32'",)
