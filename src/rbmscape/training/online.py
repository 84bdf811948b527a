"""The log-likelihood while training runs: ln Z carried from checkpoint to checkpoint with the training's own chains.

`rbmscape.likelihood.OnlineLogPartition` links the reported models of neighbouring checkpoints.  The persistent chains
follow the last parameters, not their running average, which is what a checkpoint reports; a few Gibbs steps of the
reported model bring copies of them there.  What the chains are short of equilibrium goes into the value and is not in
its error.  So each value is judged (`rbmscape.training.anchor`).  A fresh annealing looks in whenever the number of
updates has doubled, the error has grown, or training ends, and takes the place of a value that is worse or cannot be
right; a value that is contradicted is not told.  It still is a proxy that watches training;
`rbmscape.likelihood_bracket` judges the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.errors import FormatError
from rbmscape.kernels.interface import Engine
from rbmscape.likelihood.estimate import LogPartition
from rbmscape.likelihood.trajectory import OnlineLogPartition
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.training.anchor import GOOD, annealed, disagreement, known_weight, objection_to

__all__ = ["OnlineLikelihood"]

MAX_CHAINS: Final = 256
RELAXATION: Final = 20
MAX_KNOWN: Final = 2000
MAX_STDERR: Final = 0.5
LOST: Final = "the running value was lost at an earlier checkpoint"
_PREFIX: Final = "online."


class OnlineLikelihood:
    """A running ln Z of the reported models, with state that a run can save.

    Parameters
    ----------
    engine : what samples the training; its device and precision serve here too
    seed : of the run
    """

    def __init__(self, engine: Engine, seed: int) -> None:
        self._engine, self._seed = engine, seed
        self._running: OnlineLogPartition | None = None
        self._known: Tensor | None = None
        self._lost = False
        self._anchored = 1

    def advance(
        self, rbm: RBM, chains: Tensor, data: Tensor, scored: Tensor, update: int, *, final: bool = False
    ) -> dict[str, Any]:
        """Carry ln Z to the next checkpoint.

        Parameters
        ----------
        rbm : the model that the checkpoint reports
        chains : (C, N) visible states of the negative phase, of which at most 256 serve
        data : (n, N) training data, to which the first annealing is fitted
        scored : (n, N) rows whose mean log-likelihood is wanted
        update : number of the checkpoint's update, key of the random numbers
        final : whether training ends here, so that annealing looks in

        Returns
        -------
        log_likelihood and log_partition (nats, NaN where something speaks against them), log_partition_stderr (of both,
        without the chains' disequilibrium), log_partition_overlap (below 0.03 the track is lost),
        log_likelihood_row_stderr (of the mean over the scored rows as a sample of all that could be), and
        log_likelihood_objection (None, or what speaks against the value)
        """
        states = self._relaxed(rbm, chains[:MAX_CHAINS], update)
        if self._running is None:
            self._running = OnlineLogPartition.start(rbm, states, data, self._seed, self._engine)
        else:
            self._running = self._running.update(rbm, states, self._engine)
        objection = self._judge(rbm, data, scored, update, final)
        log_z = self._running.log_partition
        value = math.nan if objection else log_z.value
        free = rbm.free_energy(scored)
        return {
            "log_likelihood": -float(free.mean(dtype=torch.float64)) - value,
            "log_partition": value,
            "log_partition_stderr": log_z.stderr,
            "log_partition_overlap": log_z.overlap,
            "log_likelihood_row_stderr": float(free.std()) / math.sqrt(len(free)) if len(free) > 1 else math.nan,
            "log_likelihood_objection": objection,
        }

    def _judge(self, rbm: RBM, data: Tensor, scored: Tensor, update: int, final: bool) -> str | None:
        """What speaks against the running ln Z after a fresh annealing took its place where it could not be right."""
        assert self._running is not None
        if self._known is None:
            self._known = torch.unique(torch.cat((data[:MAX_KNOWN], scored[:MAX_KNOWN])), dim=0)
        floor, running = known_weight(rbm, self._known), self._running.log_partition
        objection = objection_to(running, floor) or (LOST if self._lost else None)
        due = final or update >= 2 * self._anchored or running.stderr > MAX_STDERR
        if objection is None and not due:
            return None
        fresh = annealed(rbm, data, self._seed + update, self._engine)
        self._anchored = max(1, update)
        objection = objection or disagreement(running, fresh)
        if (objection or fresh.stderr < running.stderr) and fresh.ess >= GOOD and objection_to(fresh, floor) is None:
            shared = math.nan if objection else running.overlap
            self._running, objection = replace(self._running, log_partition=replace(fresh, overlap=shared)), None
        self._lost = objection is not None
        return objection

    def _relaxed(self, rbm: RBM, chains: Tensor, update: int) -> Tensor:
        """Copies of the chains after some Gibbs steps of the reported model."""
        stream = Stream(self._seed, "training/online").child(str(update))
        sampler = gibbs.make_sampler(rbm, len(chains), stream, engine=self._engine)
        moved, _info = gibbs.step(sampler, gibbs.init(chains), RELAXATION)
        return moved.v

    def state(self) -> dict[str, Tensor]:
        """Everything that the next checkpoint depends on; empty before the first."""
        running = self._running
        if running is None:
            return {}
        log_z = running.log_partition
        numbers = [log_z.value, log_z.stderr, log_z.overlap, float(running.updates), float(log_z.n_chains)]
        numbers += [float(self._anchored), float(self._lost)]
        tensors = {name: getattr(running.rbm, name) for name in PARAMETER_NAMES}
        tensors |= {"states": running.states, "numbers": torch.tensor(numbers, dtype=torch.float64)}
        return {_PREFIX + name: value for name, value in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        FormatError : it is not among the tensors
        """
        missing = [name for name in (*PARAMETER_NAMES, "states", "numbers") if _PREFIX + name not in tensors]
        if missing:
            raise FormatError(
                f"the saved state lacks {_PREFIX}{missing[0]}, which online_likelihood needs; "
                "train again with overwrite=True (--overwrite)"
            )
        device = self._engine.device
        rbm = RBM(*(tensors[_PREFIX + name].to(device) for name in PARAMETER_NAMES))
        numbers = [float(number) for number in tensors[_PREFIX + "numbers"]]
        value, stderr, overlap, updates, n_chains, anchored, lost = [*numbers, 1.0, 0.0][:7]
        self._anchored, self._lost = int(anchored), bool(lost)
        log_z = LogPartition(value, stderr, method="online", n_chains=int(n_chains), overlap=overlap)
        states = tensors[_PREFIX + "states"].to(device)
        self._running = OnlineLogPartition(rbm, states, log_z, int(updates), self._seed)
