r"""Saddle-point equations (26) of arXiv:2503.21536: the naive mean field of the RBM, its solutions and their energies.

At m = Ux, n = Vy the saddle-point conditions read m = σ(β(a + Wn)), n = σ(β(b + Wᵀm)).  Updating one layer after the
other minimises the free energy over that layer exactly, so that it falls at every step and the iteration needs no
damping at order 1.  Shapes: m (N,), n (M,); float64 on the model's device.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import training_rows
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, check_positive
from rbmscape.diffusion.tap import Ensemble, MeanFieldProblem, iterate
from rbmscape.errors import InputError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.rng import Stream

__all__ = ["MeanField", "MeanFieldSolution", "NotConvergedWarning", "mean_field"]

_DISTINCT = 1e-3
_LOOSE = 1e-5


class NotConvergedWarning(RuntimeWarning):
    """No start of a mean-field iteration reached the tolerance."""


@dataclass(frozen=True, eq=False, repr=False)
class MeanFieldSolution(OneLine):
    """One solution of the mean-field equations.

    Attributes
    ----------
    m, n : (N,), (M,) activities
    free_energy : F in units of k_B T at beta = 1; at order 1 an upper bound on -ln Z / β
    converged : whether the residual fell below the tolerance
    residual : largest change of an activity in the last iteration
    iterations : iterations of the start that took the longest to arrive here
    n_starts : number of starts that ended here
    """

    m: Tensor
    n: Tensor
    free_energy: float
    converged: bool
    residual: float
    iterations: int
    n_starts: int

    def _headline(self) -> str:
        return f"F {self.free_energy:.6g}, {_verdict(self)}, {self.n_starts} starts"


@dataclass(frozen=True, eq=False, repr=False)
class MeanField(OneLine):
    """Result of `mean_field`: the solution of lowest free energy, and all distinct ones.

    Attributes
    ----------
    solutions : distinct solutions, the converged ones first, by increasing free energy
    beta : inverse temperature
    order : 1 naive mean field, 2 TAP, 3 third order
    tolerance : what counted as converged
    """

    solutions: tuple[MeanFieldSolution, ...]
    beta: float
    order: int
    tolerance: float

    @property
    def best(self) -> MeanFieldSolution:
        """The converged solution of lowest free energy; if none converged, the one of lowest free energy."""
        return self.solutions[0]

    @property
    def m(self) -> Tensor:
        """(N,) visible activities of the best solution."""
        return self.best.m

    @property
    def n(self) -> Tensor:
        """(M,) hidden activities of the best solution."""
        return self.best.n

    @property
    def free_energy(self) -> float:
        """Free energy of the best solution, in units of k_B T at beta = 1."""
        return self.best.free_energy

    @property
    def converged(self) -> bool:
        """Whether the best solution converged."""
        return self.best.converged

    @property
    def iterations(self) -> int:
        """Iterations behind the best solution."""
        return self.best.iterations

    def _headline(self) -> str:
        return (
            f"F {self.free_energy:.6g}, {_verdict(self.best)}, {len(self.solutions)} distinct, order {self.order}, "
            f"beta {self.beta:g}"
        )


def _verdict(solution: MeanFieldSolution) -> str:
    if solution.converged:
        return f"converged in {solution.iterations} iterations"
    return f"NOT CONVERGED, residual {solution.residual:.1e}"


def _starts(
    problem: MeanFieldProblem, n_starts: int, data: Tensor | None, seed: int, damping: float, continuation: int
) -> tuple[Tensor, Tensor]:
    """Row 0 is followed in beta from the high-temperature solution, then data rows, then random states."""
    n_visible, n_hidden = problem.weights.shape
    m, n = problem.weights.new_full((1, n_visible), 0.5), problem.weights.new_full((1, n_hidden), 0.5)
    for step in range(1, continuation):
        warmer = replace(problem, beta=problem.beta * step / continuation)
        followed = iterate(warmer, m, n, damping, _LOOSE, 200)
        m, n = followed.m, followed.n
    rows = [m]
    if data is not None:
        picks = torch.linspace(0, data.shape[0] - 1, min(n_starts, data.shape[0])).round().long()
        rows.append(data[picks.to(data.device)].to(problem.weights))
    generator = Stream(seed, "diffusion/mean_field").numpy(0)
    rows.append(torch.from_numpy(generator.random((n_starts, n_visible))).round().to(problem.weights))
    visible = torch.cat(rows)
    others = replace(problem, order=1).hidden(visible[1:], visible[1:])
    return visible, torch.cat([n, others])


def _distinct(problem: MeanFieldProblem, state: Ensemble, tolerance: float) -> tuple[MeanFieldSolution, ...]:
    energies = problem.free_energy(state.m, state.n)
    converged = state.residual < tolerance
    order = sorted(range(len(energies)), key=lambda row: (not bool(converged[row]), float(energies[row])))
    groups: list[list[int]] = []
    for row in order:
        home = next((group for group in groups if _same(state, group[0], row)), None)
        if home is None:
            groups.append([row])
        else:
            home.append(row)
    return tuple(
        MeanFieldSolution(
            m=state.m[rows[0]],
            n=state.n[rows[0]],
            free_energy=float(energies[rows[0]]),
            converged=bool(converged[rows[0]]),
            residual=float(state.residual[rows[0]]),
            iterations=int(state.iterations[rows].max()),
            n_starts=len(rows),
        )
        for rows in groups
    )


def _same(state: Ensemble, first: int, second: int) -> bool:
    return bool(
        ((state.m[first] - state.m[second]).abs().amax() < _DISTINCT)
        & ((state.n[first] - state.n[second]).abs().amax() < _DISTINCT)
    )


@checked
def mean_field(
    rbm: RBM,
    beta: float = 1.0,
    *,
    order: int = 1,
    n_starts: int = 16,
    data: Arrays | None = None,
    continuation: int = 10,
    damping: float | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 5000,
    seed: int = 0,
) -> MeanField:
    r"""Solve m = σ(β(a + Wn)), n = σ(β(b + Wᵀm)), the saddle-point equations (26) in bit coordinates.

    Parameters
    ----------
    rbm : the model
    beta : inverse temperature, > 0
    order : 1 naive mean field (eq. 26), 2 with Onsager's reaction term (TAP), 3 with the third-order term
    n_starts : random binary starts, and at most as many data starts; one more start follows the unique
        high-temperature solution up in beta
    data : (K, N) visible states from which further starts are taken, evenly spaced
    continuation : steps in beta of that first start
    damping : share of the old activities kept at each step, in [0, 1); default 0 at order 1, else 0.5
    tolerance : largest change of any activity at which an iteration counts as converged
    max_iterations : after which a start is returned as it is, with ``converged`` False
    seed : of the random starts

    Returns
    -------
    MeanField; its free energies approximate -ln Z / β with errors O(W²), O(W³), O(W⁴) at orders 1, 2, 3 for weak
    couplings, and at order 1 bound it from above.  Found are the minima (and saddles that a symmetric start meets),
    not certainly all.

    Raises
    ------
    InputError : beta, tolerance, damping, order or a count cannot be used
    ShapeError : data do not fit the model

    Warns
    -----
    NotConvergedWarning : no start reached the tolerance
    """
    rbm = one_model(rbm, "mean_field")
    beta = check_positive("beta", beta)
    tolerance = check_positive("tolerance", tolerance)
    check_count("n_starts", n_starts, 0)
    check_count("continuation", continuation)
    check_count("max_iterations", max_iterations)
    if order not in (1, 2, 3):
        raise InputError(f"order must be 1 (naive), 2 (TAP) or 3, got {order!r}; choose one of these")
    kept = (0.0 if order == 1 else 0.5) if damping is None else float(damping)
    if not 0.0 <= kept < 1.0:
        raise InputError(f"damping must be in [0, 1), got {kept:g}; 0 keeps nothing of the old activities")
    problem = MeanFieldProblem.of(rbm, beta, order)
    rows = None
    if data is not None:
        rows = rbm.as_visible(training_rows(data, "data", rbm.columns)).reshape(-1, rbm.n_visible)
    state = iterate(
        problem, *_starts(problem, n_starts, rows, seed, kept, continuation), kept, tolerance, max_iterations
    )
    result = MeanField(_distinct(problem, state, tolerance), beta, order, tolerance)
    if not result.converged:
        warnings.warn(
            f"mean field did not converge in {max_iterations} iterations (residual {result.best.residual:.1e} against "
            f"{tolerance:.1e}); raise max_iterations or damping",
            NotConvergedWarning,
            stacklevel=2,
        )
    return result
