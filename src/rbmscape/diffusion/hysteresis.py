r"""Hysteresis along a mode: a field that turns the mode over and back, by mean field and by Gibbs sampling.

The field adds ``2h √N U_i`` to the visible and ``2h √M V_i`` to the hidden biases, that is, energy -h on every spin of
a mode that is spread evenly over both layers.  The order parameter is the magnetisation along the mode,

    m = ½ [U_i·(2v - 1)/√N + V_i·(2h - 1)/√M],    |m| <= 1 and = 1 for an evenly spread mode that is saturated.

Below its transition a mode follows the field on one curve.  Above, it stays in its well until that loses stability:
the loop has an area, and jumps.  For equal, infinite layers of the bipartite Curie-Weiss model (dressed value d) the
jump starts at ``m_s = √(1 - 1/d)`` with the field ``h_s = d m_s - artanh m_s``.  Along training a continuous transition
opens the loop from zero, since h_s grows as (d - 1)^{3/2} and m as (d - 1)^{1/2}; one of first order opens it at once,
and tempering in that parameter fails there.  Chains that can climb the barrier turn earlier than the mean field says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import real_array
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count, check_mode, check_positive
from rbmscape.diffusion.tap import MeanFieldProblem
from rbmscape.errors import InputError, UnresolvedError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes, modes_of
from rbmscape.rng import Stream
from rbmscape.stats import Estimate

__all__ = ["Hysteresis", "Jump", "closing_field", "hysteresis"]

FloatArray = NDArray[np.float64]
_OPEN: Final = 1e-6
_CLOSED: Final = 0.02  # of the span of m
_TOLERANCE: Final = 1e-10
_MOST_ITERATIONS: Final = 20_000
_LARGEST_FIELD: Final = 64.0


@dataclass(frozen=True, slots=True, repr=False)
class Jump(OneLine):
    """The largest step of the magnetisation on one branch.

    Attributes
    ----------
    field : middle of the two fields between which it lies; its error is their distance over √12, with chains combined
        with the standard error of the chains' own
    size : change of m in that step, signed
    """

    field: Estimate
    size: float


@dataclass(frozen=True, eq=False, repr=False)
class Hysteresis(OneLine):
    """One closed loop.

    Attributes
    ----------
    fields : (F,) rising
    up, down : (F,) magnetisation along the mode while the field rises and falls
    up_stderr, down_stderr : (F,) standard errors over chains; 0 for the mean field
    area : ``∫ (m_down - m_up) dh``; 0 within its error where there is one state only
    jump_up, jump_down : the largest steps
    unconverged : fields at which the mean field stopped before it had converged (0 for chains)
    """

    fields: FloatArray
    up: FloatArray
    down: FloatArray
    up_stderr: FloatArray
    down_stderr: FloatArray
    area: Estimate
    jump_up: Jump
    jump_down: Jump
    unconverged: int

    def _headline(self) -> str:
        verdict = "open" if self.is_open else "closed"
        return f"{verdict} loop, area {self.area}, jumps at {self.jump_up.field} and {self.jump_down.field}"

    @property
    def is_open(self) -> bool:
        """Whether the area is positive beyond three standard errors."""
        return self.area.value > max(_OPEN, 3 * self.area.stderr)


@checked
def hysteresis(
    rbm: RBM,
    mode: int = 0,
    fields: ArrayLike | None = None,
    *,
    n_fields: int = 201,
    method: str = "mean_field",
    modes: Modes | None = None,
    order: int = 1,
    beta: float = 1.0,
    n_chains: int = 64,
    n_steps: int = 50,
    seed: int = 0,
) -> Hysteresis:
    """Turn a mode over and back by a field along it.

    Parameters
    ----------
    rbm : the model
    mode : index i of the mode
    fields : (F,) rising, from one that holds the mode down to one that holds it up; None takes fields up to
        `closing_field`
    n_fields : how many of them, five or more, where fields is None
    method : "mean_field" follows the solution of equation (26), or of TAP, from field to field; "gibbs" runs chains
        that stay n_steps sweeps at each field, of which the second half is averaged
    modes : that define the direction, by default the model's own
    order : of the mean field, see `rbmscape.diffusion.mean_field.mean_field`
    beta : inverse temperature
    n_chains, n_steps, seed : of "gibbs"

    Raises
    ------
    InputError : fields that do not turn the mode, so that the loop does not close; fewer than five fields or falling
        ones; a mode, method or number that cannot be used
    """
    check_choice("method", method, ("mean_field", "gibbs"))
    beta = check_positive("beta", beta)
    basis = modes_of(rbm, modes)
    mode = check_mode(mode, basis.n_paired)
    left, right = basis.left[:, mode], basis.right[:, mode]
    if fields is None:
        largest = closing_field(rbm, mode, modes=basis, order=order, beta=beta)
        grid: FloatArray = np.linspace(-largest, largest, check_count("n_fields", n_fields, 5))
    else:
        grid = real_array(fields, "fields")
        if grid.ndim != 1 or grid.size < 5 or (np.diff(grid) <= 0).any():
            raise InputError(f"fields must be five or more rising numbers, found shape {grid.shape}; sort them")
    if method == "gibbs":
        check_count("n_chains", n_chains, 2)
        check_count("n_steps", n_steps, 2)
        streams = [Stream(seed, f"diffusion/hysteresis/{branch}") for branch in ("up", "down")]
        states: list[_Chains | _Follower] = [
            _Chains(rbm, left, right, beta, n_chains, n_steps, stream, sign)
            for stream, sign in zip(streams, (-1.0, 1.0), strict=True)
        ]
    else:
        problem = MeanFieldProblem.of(rbm, beta, order)
        states = [_Follower(problem, left, right, sign) for sign in (-1.0, 1.0)]
    up = np.stack([states[0].at(h) for h in grid])
    down = np.stack([states[1].at(h) for h in grid[::-1]])[::-1]
    _check_closed(grid, up, down)
    return _result(grid, up, down, sum(state.unconverged for state in states))


def closing_field(rbm: RBM, mode: int = 0, *, modes: Modes | None = None, order: int = 1, beta: float = 1.0) -> float:
    """A field that turns the mode over and back in mean field: 1.3 times the least power of √2 at which it does.

    Raises
    ------
    UnresolvedError : no field up to 64 does
    """
    basis = modes_of(rbm, modes)
    problem = MeanFieldProblem.of(rbm, check_positive("beta", beta), order)
    mode = check_mode(mode, basis.n_paired)
    left, right = basis.left[:, mode], basis.right[:, mode]
    field = 1 / 16
    while field <= _LARGEST_FIELD:
        ends = [[_Follower(problem, left, right, sign).at(h)[0] for sign in (-1.0, 1.0)] for h in (-field, field)]
        span = max(abs(ends[1][1] - ends[0][0]), 1e-12)
        if all(abs(high - low) < _CLOSED * span for low, high in ends):
            return 1.3 * field
        field *= math.sqrt(2)
    raise UnresolvedError(f"no field up to {_LARGEST_FIELD:g} turns mode {mode}; choose a mode that more units share")


class _Follower:
    """The mean-field state, carried from field to field; starts from a state saturated along the mode."""

    def __init__(self, problem: MeanFieldProblem, left: Tensor, right: Tensor, sign: float) -> None:
        self._problem, self._left, self._right = problem, left, right
        self._m = 0.5 + 0.5 * sign * left.sign()
        self._n = 0.5 + 0.5 * sign * right.sign()
        self._damping = 0.0 if problem.order == 1 else 0.5
        self.unconverged = 0

    def at(self, field: float) -> FloatArray:
        """Magnetisation (1,) at the field."""
        a, b = _tilted(self._problem.visible_bias, self._problem.hidden_bias, self._left, self._right, field)
        problem = replace(self._problem, visible_bias=a, hidden_bias=b)
        for _ in range(_MOST_ITERATIONS):
            n = torch.lerp(problem.hidden(self._m, self._n), self._n, self._damping)
            m = torch.lerp(problem.visible(self._m, n), self._m, self._damping)
            change = max(float((m - self._m).abs().max()), float((n - self._n).abs().max()))
            self._m, self._n = m, n
            if change < _TOLERANCE:
                break
        else:
            self.unconverged += 1
        return _magnetisation(self._m, self._n, self._left, self._right)[None].cpu().numpy()


class _Chains:
    """Gibbs chains, carried from field to field; they start from a state saturated along the mode."""

    unconverged = 0

    def __init__(
        self,
        rbm: RBM,
        left: Tensor,
        right: Tensor,
        beta: float,
        n_chains: int,
        n_steps: int,
        stream: Stream,
        sign: float,
    ) -> None:
        self._rbm, self._left, self._right, self._beta = rbm, left, right, beta
        self._n_chains, self._n_steps, self._stream = n_chains, n_steps, stream
        self._v = (left * sign > 0).to(torch.uint8).repeat(n_chains, 1)
        self._done = 0

    def at(self, field: float) -> FloatArray:
        """Magnetisation of each chain (n_chains,), averaged over the second half of its sweeps at the field."""
        from rbmscape.sampling.gibbs import Chains, make_sampler, step

        double = self._rbm.visible_bias.double(), self._rbm.hidden_bias.double()
        a, b = _tilted(*double, self._left, self._right, field)
        tilted = RBM(self._rbm.weights, a, b)
        sampler = make_sampler(tilted, self._n_chains, self._stream, self._beta)
        half = self._n_steps // 2
        chains, _ = step(sampler, Chains(self._v, self._done), self._n_steps - half)
        total = torch.zeros(self._n_chains, dtype=torch.float64, device=self._left.device)
        for _ in range(half):
            chains, info = step(sampler, chains)
            total += _magnetisation(chains.v.double(), info.h.double(), self._left, self._right)
        self._v, self._done = chains.v, chains.steps
        return np.asarray((total / half).cpu().numpy())


def _tilted(a: Tensor, b: Tensor, left: Tensor, right: Tensor, field: float) -> tuple[Tensor, Tensor]:
    return a + 2 * field * math.sqrt(len(left)) * left, b + 2 * field * math.sqrt(len(right)) * right


def _magnetisation(v: Tensor, h: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return ((2 * v - 1) @ left / math.sqrt(len(left)) + (2 * h - 1) @ right / math.sqrt(len(right))) / 2


def _check_closed(fields: FloatArray, up: FloatArray, down: FloatArray) -> None:
    """Refuse a loop whose branches differ at an end: the field there does not hold the mode."""
    span = max(float(down[-1].mean() - up[0].mean()), 1e-12)
    for end in (0, -1):
        gap = float(down[end].mean() - up[end].mean())
        noise = 4 * math.hypot(*(float(branch[end].std()) / math.sqrt(branch.shape[1]) for branch in (up, down)))
        if abs(gap) > max(_CLOSED * span, noise):
            raise InputError(
                f"fields from {fields[0]:g} to {fields[-1]:g} do not turn the mode: at {fields[end]:g} the branches "
                f"are {gap:.2g} of magnetisation apart; take larger fields, or fields=None to have them found"
            )


def _result(fields: FloatArray, up: FloatArray, down: FloatArray, unconverged: int) -> Hysteresis:
    """Means over chains, area and jumps of (F, n_chains) magnetisations."""
    count = up.shape[1]

    def stderr(values: FloatArray) -> FloatArray:
        return np.asarray(values.std(-1, ddof=1) / math.sqrt(count)) if count > 1 else np.zeros(values.shape[:-1])

    areas: FloatArray = np.asarray(np.trapezoid(down - up, fields, axis=0))
    return Hysteresis(
        fields=fields,
        up=up.mean(1),
        down=down.mean(1),
        up_stderr=stderr(up),
        down_stderr=stderr(down),
        area=Estimate(float(areas.mean()), float(stderr(areas)), float(count) if count > 1 else math.nan),
        jump_up=_jump(fields, up),
        jump_down=_jump(fields, down),
        unconverged=unconverged,
    )


def _jump(fields: FloatArray, branch: FloatArray) -> Jump:
    """Largest step of each chain, and the mean over the chains of where it is."""
    steps = np.diff(branch, axis=0)
    places = np.abs(steps).argmax(0)
    middles, widths = (fields[1:] + fields[:-1]) / 2, np.diff(fields)
    found = middles[places]
    spread = float(found.std(ddof=1)) / math.sqrt(found.size) if found.size > 1 else 0.0
    size = float(steps[places, np.arange(found.size)].mean())
    return Jump(Estimate(float(found.mean()), math.hypot(spread, float(widths[places].mean()) / math.sqrt(12))), size)
