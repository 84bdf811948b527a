r"""What is unknown of a row given the rest: samples, probabilities of single units, and whether to believe them.

With the known visible units held, the others are an RBM of their own (`rbmscape.model.missing`).  A row that lacks few
units, or a model with few hidden ones, is summed exactly.  Other rows are sampled: by Gibbs chains that begin with fair
bits, and those rows whose chains do not agree, by replica exchange along the training or in temperature.  Each row has
a verdict of its own, with the demands of `rbmscape.sampling.verdict`.

The probability of a unit is the mean over chains and draws of ``σ((Wh + a)_i)``, which has less scatter than that of
v_i; its error is that of a mean of independent chains.
Shapes: known is (..., N), samples (..., n_samples, N) and (..., n_samples, M), probabilities (..., N).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count, check_positive
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import select_engine
from rbmscape.memory import check_memory
from rbmscape.model.arrays import Arrays
from rbmscape.model.exact import MAX_ENUMERATED_UNITS, exact_moments, exact_samples
from rbmscape.model.missing import PartialRows, conditional_model, partial_rows
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained, one_model
from rbmscape.progress import Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling.conditional_chains import Rows, sampled_rows
from rbmscape.sampling.draws import Draws, drawn_hidden
from rbmscape.sampling.samples import Samples
from rbmscape.sampling.verdict import EquilibriumVerdict

__all__ = ["ENUMERATION", "METHODS", "ConditionalSamples", "conditional_samples"]

METHODS = ("auto", "exact", "gibbs", "tempering")
ENUMERATION = "exact enumeration"
EXACT_UNITS = 12
"""Units of the smaller layer up to which a row is summed without being asked: some ten milliseconds."""
FEWEST_CHAINS = 16
CHAINS_TOGETHER = 4096


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConditionalSamples(OneLine):
    """Completions of rows.

    Attributes
    ----------
    model : what was sampled
    known : the rows, and which of their entries are missing
    v : (..., n_samples, N) uint8, the known units as they were given; independent where the row was summed exactly,
        and where the verdict says that chains are in equilibrium, each from a chain of its own
    h : (..., n_samples, M) uint8 that go with them
    probability : (..., N) float64 p(v_i = 1 | what is known); of known units the units themselves
    stderr : (..., N) its error; 0 where it is exact
    verdicts : for each row in order, whether its samples are in equilibrium
    methods : for each row, how they were made
    how : the same for all, with names that begin with ``samples_``
    """

    model: RBM
    known: PartialRows
    v: Tensor
    h: Tensor
    probability: Tensor
    stderr: Tensor
    verdicts: tuple[EquilibriumVerdict, ...]
    methods: tuple[str, ...]
    how: Mapping[str, str | float]

    @property
    def verdict(self) -> EquilibriumVerdict:
        """Of all rows together: the rows that are in doubt, and the worst diagnostics."""
        doubtful = [number for number, verdict in enumerate(self.verdicts) if not verdict.converged]
        ess, r_hat, drift = (
            [value for one in self.verdicts if (value := getattr(one, name)) == value]
            for name in ("ess", "r_hat", "drift")
        )
        worst = (min(ess, default=float("nan")), max(r_hat, default=float("nan")), max(drift, default=float("nan")))
        found: tuple[str, ...] = ()
        if doubtful:
            first = self.verdicts[doubtful[0]].objections[0]
            found = (f"{len(doubtful)} of {len(self.verdicts)} rows are in doubt, of row {doubtful[0]}: {first}",)
        return EquilibriumVerdict(found, *worst, self._ways())

    def _ways(self) -> str:
        counts = {name: self.methods.count(name) for name in sorted(set(self.methods))}
        return ", ".join(f"{count} row{'s' * (count > 1)} by {name}" for name, count in counts.items())

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against the equilibrium of any row."""
        return all(verdict.converged for verdict in self.verdicts)

    @property
    def facts(self) -> dict[str, str | float]:
        """How they were made and whether they are in equilibrium, as attributes for a file."""
        return {**self.how, **self.verdict.facts}

    @checked
    def row(self, index: int) -> Samples:
        """The samples of one row, counted from 0 in the order of the flattened batch axes.

        Raises
        ------
        InputError : there is no such row
        """
        if not -len(self.methods) <= index < len(self.methods):
            raise InputError(f"there is no row {index}; {len(self.methods)} rows were completed")
        v, h = (states.reshape(-1, *states.shape[-2:])[index] for states in (self.v, self.h))
        how = dict(self.how) | {"samples_method": self.methods[index]}
        return Samples(self.model, Draws(v[:, None], h[:, None]), how, self.verdicts[index])

    def _headline(self) -> str:
        n_samples, n_visible = self.v.shape[-2:]
        rows, missing = len(self.verdicts), int(self.known.missing.sum())
        many = f"{rows} row{'s' * (rows != 1)} of {n_visible} units, {missing} missing"
        return f"{n_samples} samples of {many}, {self.verdict}"


@checked
def conditional_samples(
    rbm: RBM | Trained,
    known: Arrays,
    n_samples: int = 16,
    seed: int = 0,
    *,
    missing: Arrays | None = None,
    method: str = "auto",
    budget: float | None = None,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> ConditionalSamples:
    """Draw the missing entries of rows from p(v_missing, h | v_known).

    Parameters
    ----------
    rbm : the model, or a run, along whose checkpoints replicas are exchanged where that is needed
    known : (..., N) entries 0, 1, or NaN (or masked) where unknown
    n_samples : completions of each row, one from each of as many chains; at least 16 chains run
    seed : key of all random numbers
    missing : (..., N) or (N,) bool, true where an entry is unknown whatever `known` holds there
    method : ``"exact"``, which sums up to 25 units of the smaller layer; ``"gibbs"``; ``"tempering"``; or ``"auto"``,
        which sums up to 12, and tempers the rows whose Gibbs chains do not agree, if the budget allows it
    budget : multiply-adds at most, see `rbmscape.sampling.budget`; without one 1024 rounds of each kind at most
    engine, precision : see `rbmscape.kernels.select.select_engine`
    progress : show a bar, or a reporter that counts Gibbs steps of chains

    Returns
    -------
    ConditionalSamples: with probabilities of single units and their errors, exact ones where the row was summed, and a
    verdict on each row

    Raises
    ------
    DataError, ShapeError : rows that do not fit the model or are not binary
    InputError : a number out of range, an unknown method, or too many units for ``"exact"``
    EngineError : engine or precision is not available on this machine
    """
    model = rbm.load() if isinstance(rbm, Trained) else one_model(rbm, "conditional_samples")
    rows = partial_rows(model, known, missing)
    n_samples = check_count("n_samples", n_samples)
    check_choice("method", method, METHODS)
    budget = None if budget is None else check_positive("budget", budget)
    if not len(rows.states):
        raise InputError("conditional_samples needs at least one row, found none; pass (..., N) known entries")
    chosen, stream = select_engine(engine, precision, model.device), Stream(seed, "conditional")
    found = _Found.empty(model, rows, n_samples)
    summed = _summable(model, rows, method)
    for index in torch.nonzero(summed).flatten().tolist():
        found.sum_exactly(index, stream.child(f"exact/{index}"))
    chains = max(n_samples, FEWEST_CHAINS)
    with reporting(progress, "conditional sampling") as advance:
        for number, block in enumerate(_blocks(torch.nonzero(~summed).flatten(), chains)):
            part = Rows(model, rows.states[block], rows.missing[block], chains)
            share = None if budget is None else budget * len(block) / int((~summed).sum())
            models = rbm if isinstance(rbm, Trained) else None
            results = sampled_rows(part, models, method, share, stream.child(f"block/{number}"), chosen, advance)
            found.keep(block, results)
    return found.result({"samples_chains": chains, "samples_seed": stream.seed, "samples_engine": chosen.name,
                         "samples_precision": chosen.precision})  # fmt: skip


def _summable(rbm: RBM, rows: PartialRows, method: str) -> Tensor:
    """(n,) bool: rows that are summed."""
    smaller = rows.missing.sum(1).clamp(max=rbm.n_hidden)
    if method == "exact":
        if int(smaller.max()) > MAX_ENUMERATED_UNITS:
            raise InputError(
                f"exact sums go up to {MAX_ENUMERATED_UNITS} units of the smaller layer, found a row with "
                f"{int(smaller.max())}; use method='auto'"
            )
        return torch.ones_like(smaller, dtype=torch.bool)
    return (smaller <= EXACT_UNITS) if method == "auto" else smaller == 0


def _blocks(indices: Tensor, chains: int) -> Iterator[Tensor]:
    """Rows that are sampled together."""
    return iter(torch.split(indices, max(1, CHAINS_TOGETHER // chains))) if len(indices) else iter(())


@dataclass(eq=False)
class _Found:
    """Results while they come in."""

    model: RBM
    rows: PartialRows
    v: Tensor
    h: Tensor
    probability: Tensor
    stderr: Tensor
    verdicts: list[EquilibriumVerdict]
    methods: list[str]

    @classmethod
    def empty(cls, rbm: RBM, rows: PartialRows, n_samples: int) -> _Found:
        n, device = len(rows.states), rbm.device
        needed = 2 * n * n_samples * (rbm.n_visible + rbm.n_hidden)
        check_memory(needed, f"{n_samples} completions of {n} rows", "draw fewer at a time")
        hidden = torch.zeros(n, n_samples, rbm.n_hidden, dtype=torch.uint8, device=device)
        visible = rows.states[:, None].repeat(1, n_samples, 1)
        probability = rows.states.to(torch.float64)
        return cls(rbm, rows, visible, hidden, probability, torch.zeros_like(probability),
                   [EquilibriumVerdict(())] * n, [""] * n)  # fmt: skip

    def sum_exactly(self, index: int, stream: Stream) -> None:
        missing, n_samples = self.rows.missing[index], self.v.shape[1]
        if bool(missing.any()):
            conditional, _ = conditional_model(self.model, self.rows.states[index], missing)
            drawn, hidden = exact_samples(conditional, n_samples, int(stream.numpy().integers(2**63)))
            self.v[index][:, missing] = drawn.to(self.v.device)
            self.h[index] = hidden.to(self.h.device)
            self.probability[index, missing] = exact_moments(conditional).visible.to(self.probability.device)
        else:
            self.h[index] = drawn_hidden(self.model, self.v[index], stream)
        self.verdicts[index] = EquilibriumVerdict((), float(n_samples), grounds=ENUMERATION)
        self.methods[index] = ENUMERATION

    def keep(self, block: Tensor, part: Rows) -> None:
        n_samples = self.v.shape[1]
        self.v[block], self.h[block] = part.v[:, :n_samples], part.h[:, :n_samples]
        missing = self.rows.missing[block]
        self.probability[block] = torch.where(missing, part.probability, self.probability[block])
        self.stderr[block] = torch.where(missing, part.stderr, 0.0)
        for place, index in enumerate(block.tolist()):
            self.verdicts[index], self.methods[index] = part.verdicts[place], part.methods[place]

    def result(self, how: Mapping[str, str | float]) -> ConditionalSamples:
        shape = self.rows.shape
        v, h, probability, stderr = (
            x.reshape(*shape, *x.shape[1:]) for x in (self.v, self.h, self.probability, self.stderr)
        )
        facts: dict[str, str | float] = {"samples_method": ", ".join(sorted(set(self.methods))), **how}
        ways = tuple(self.verdicts), tuple(self.methods)
        return ConditionalSamples(self.model, self.rows, v, h, probability, stderr, *ways, facts)
