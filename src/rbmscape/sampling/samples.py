"""Samples: states of one model, how they were made, and whether they are in equilibrium.

Words.  A *chain* is independent of all others; where replicas are exchanged it is a column of them, one on each rung.
A *draw* is a state of a chain at a recorded time; draws of one chain are not independent.  A *round* is a Gibbs step
on each rung and an exchange between neighbours.  The *verdict* says what speaks against equilibrium.

Shapes: draws v (n_chains, n_draws, N) and h (n_chains, n_draws, M), uint8 entries 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.cards import card, image_shape_of, images
from rbmscape.model.rbm import RBM
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.verdict import EquilibriumVerdict

__all__ = ["ALONG_TRAINING", "GIBBS", "IN_TEMPERATURE", "Samples"]

GIBBS = "Gibbs sampling"
ALONG_TRAINING = "replica exchange along the training"
IN_TEMPERATURE = "replica exchange in temperature"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Samples(OneLine):
    """States drawn from a model.

    Attributes
    ----------
    model : what was sampled
    draws : all recorded states, h from p(h | v), so that (v, h) is a draw from the joint distribution if v is from its
        marginal
    how : how they were made, with names that begin with ``samples_``: method, chains, seed, and what belongs to the
        method (steps, rounds, rungs, beta, engine, precision)
    verdict : whether they are in equilibrium
    tempered : all that replica exchange left; None for Gibbs chains and for samples that were kept on disk
    """

    model: RBM
    draws: Draws
    how: Mapping[str, str | float]
    verdict: EquilibriumVerdict = field(default_factory=lambda: EquilibriumVerdict.unjudged("no chain was looked at"))
    tempered: Tempered | None = None

    @property
    def v(self) -> Tensor:
        """(n_chains, N): the last draw of every chain; independent."""
        return self.draws.v[:, -1]

    @property
    def h(self) -> Tensor:
        """(n_chains, M) that go with `v`."""
        return self.draws.h[:, -1]

    @property
    def all(self) -> tuple[Tensor, Tensor]:
        """(n_chains·n_draws, ·) v and h of all draws, chain by chain."""
        return self.draws.v.flatten(0, 1), self.draws.h.flatten(0, 1)

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against equilibrium."""
        return self.verdict.converged

    @property
    def method(self) -> str:
        """How they were made, in words."""
        return str(self.how["samples_method"])

    @property
    def facts(self) -> dict[str, str | float]:
        """How they were made and whether they are in equilibrium, as attributes for a file."""
        return {**self.how, **self.verdict.facts}

    def _headline(self) -> str:
        n_chains, n_draws, n_visible = self.draws.v.shape
        many = f" of {n_draws} draws" if n_draws > 1 else ""
        units = f"{n_visible} + {self.draws.h.shape[-1]} units"
        return f"{n_chains} chains{many} of {units}, {self.method}, {self.verdict}"

    def _repr_html_(self) -> str:
        """For notebooks: the verdict, and the first samples where rows are square images."""
        n_chains, n_draws, n_visible = self.draws.v.shape
        many = f"{n_chains} chains, {n_draws} draws of each" if n_draws > 1 else f"{n_chains}, one a chain"
        facts = {"samples": many, "made by": self.method, "verdict": str(self.verdict)}
        return card("Samples", facts, images(self.v[:8].cpu(), image_shape_of(n_visible), "samples"))
