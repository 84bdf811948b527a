r"""Tree of the data: TAP fixed points of the checkpoints of a training, from the last one back to the first.

Early in training the free energy has one minimum; each transition splits minima, until every class, and then every
kind of sample, has its own (Decelle, Rosset and Seoane, Physical Review E 108, 014110).  Read backwards this is a tree:
from every sample the TAP equations (`rbmscape.diffusion.tap`) of the last checkpoint are iterated to a fixed point;
from each distinct fixed point those of the checkpoint before; and so on.  Points that meet are one node from there to
the root.  Starts that do not converge are counted and stay nodes of their own: they are never merged with anything.
Activities are float32, (K, N) and (K, M); the levels of a tree stand in the order of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import number_array, training_rows
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count, check_positive
from rbmscape.diffusion.tap import Ensemble, MeanFieldProblem, iterate
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.progress import Progress, reporting

__all__ = ["FixedPointTree", "FixedPoints", "fixed_point_tree", "fixed_points"]

IntArray = NDArray[np.int64]
_BLOCK: Final = 512
_ROUNDING: Final = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoints(OneLine):
    """Distinct fixed points of one model.

    Attributes
    ----------
    m, n : (K, N), (K, M) float32 activities
    converged : (K,) bool; a start that did not converge is a row of its own
    member : (n_starts,) row at which each start arrived
    residual : (K,) largest change of an activity in the last iteration
    """

    m: Tensor
    n: Tensor
    converged: NDArray[np.bool_]
    member: IntArray
    residual: NDArray[np.float64]

    def _headline(self) -> str:
        return (
            f"{len(self.converged)} distinct of {len(self.member)} starts, {int((~self.converged).sum())} not converged"
        )


@dataclass(frozen=True, eq=False, repr=False)
class FixedPointTree(OneLine):
    """Fixed points of all checkpoints and how they join.

    Attributes
    ----------
    updates : (T,) checkpoints, rising
    sizes : (T,) number of nodes at each
    unconverged : (T,) how many of them did not converge
    parents : T - 1 arrays; entry k of the t-th is the node at level t to which node k of level t + 1 leads
    member : (n_samples,) node of the last level of each sample
    activities : T arrays (K, N) float32, the visible activities of the nodes
    """

    updates: IntArray
    sizes: IntArray
    unconverged: IntArray
    parents: tuple[IntArray, ...]
    member: IntArray
    activities: tuple[NDArray[np.float32], ...]

    def _headline(self) -> str:
        path = f"{self.sizes[0]} → {self.sizes[-1]} nodes"
        bad = int(self.unconverged.sum())
        return f"{len(self.member)} samples, {len(self.updates)} checkpoints, {path}, {bad} not converged"

    def membership(self, level: int) -> IntArray:
        """Node at a level of every sample, (n_samples,).

        Raises
        ------
        InputError : a level that does not exist
        """
        if not -len(self.updates) <= level < len(self.updates):
            raise InputError(f"levels run from 0 to {len(self.updates) - 1}, found {level}")
        member = self.member
        for parents in reversed(self.parents[level % len(self.updates) :]):
            member = parents[member]
        return member

    def class_counts(self, labels: ArrayLike, level: int) -> tuple[NDArray[Any], IntArray]:
        """Names of the classes (C,) and the number of samples of each at every node of a level, (K, C).

        Raises
        ------
        ShapeError : not one label a sample
        """
        given = np.asarray(labels)
        if given.shape != self.member.shape:
            raise ShapeError(f"the tree has {self.member.size} samples, found labels of shape {given.shape}")
        names, codes = np.unique(given, return_inverse=True)
        counts = np.zeros((int(self.sizes[level]), names.size), dtype=np.int64)
        np.add.at(counts, (self.membership(level), codes), 1)
        return names, counts

    def newick(self, labels: ArrayLike | None = None, lengths: str = "updates") -> str:
        """The tree in Newick format.

        Leaves are the nodes of the last level, named ``n<node>_<samples>``, or with labels
        ``<commonest label>_<its samples>of<samples>_n<node>``; ``_unconverged`` is added where it applies.  Inner nodes
        are where branches part, named by their update.

        Parameters
        ----------
        labels : (n_samples,) one a sample
        lengths : unit of the branch lengths: "updates", "log" for ln(1 + update), or "levels"

        Raises
        ------
        InputError : an unknown unit
        ShapeError : not one label a sample
        """
        check_choice("lengths", lengths, ("updates", "log", "levels"))
        axes = {
            "updates": self.updates.astype(float),
            "log": np.log1p(self.updates),
            "levels": np.arange(len(self.updates), dtype=float),
        }
        names = self._leaf_names(labels)
        children = [_children(parents, int(size)) for parents, size in zip(self.parents, self.sizes[:-1], strict=True)]
        roots = [self._branch(0, node, children, names, axes[lengths]) for node in range(int(self.sizes[0]))]
        if len(roots) == 1:
            return f"{roots[0].rpartition(':')[0]};"
        return f"({','.join(roots)});"

    def _branch(
        self, level: int, node: int, children: list[list[list[int]]], names: list[str], times: NDArray[np.float64]
    ) -> str:
        """One node with all below it and the length of the branch above it; nodes with one child are passed over."""
        above = times[level - 1] if level else times[0]
        last = len(self.updates) - 1
        while level < last and len(children[level][node]) == 1:
            node, level = children[level][node][0], level + 1
        length = f"{times[level] - above:.6g}"
        if level == last:
            return f"{_quoted(names[node])}:{length}"
        parts = [self._branch(level + 1, child, children, names, times) for child in children[level][node]]
        return f"({','.join(parts)})u{int(self.updates[level])}:{length}"

    def _leaf_names(self, labels: ArrayLike | None) -> list[str]:
        last = len(self.updates) - 1
        totals = np.bincount(self.member, minlength=int(self.sizes[last]))
        names = [f"n{node}_{total}" for node, total in enumerate(totals)]
        if labels is not None:
            classes, counts = self.class_counts(labels, last)
            best = counts.argmax(1)
            names = [
                f"{classes[best[node]]}_{counts[node, best[node]]}of{total}_n{node}"
                for node, total in enumerate(totals)
            ]
        return [
            f"{name}_unconverged" if flag else name for name, flag in zip(names, self._unconverged_leaves, strict=True)
        ]

    @property
    def _unconverged_leaves(self) -> list[bool]:
        """Unconverged nodes stand last at every level."""
        size, bad = int(self.sizes[-1]), int(self.unconverged[-1])
        return [node >= size - bad for node in range(size)]


def _children(parents: IntArray, size: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(size)]
    for child, parent in enumerate(parents.tolist()):
        found[parent].append(child)
    return found


def _quoted(name: str) -> str:
    """A label with characters that mean something in Newick stands in quotes."""
    return name if all(letter.isalnum() or letter in "_.-" for letter in name) else "'" + name.replace("'", "''") + "'"


@checked
def fixed_points(
    rbm: RBM,
    v: Arrays,
    h: Arrays | None = None,
    *,
    order: int = 2,
    beta: float = 1.0,
    damping: float = 0.2,
    tolerance: float = 1e-4,
    distinct: float = 0.05,
    max_iterations: int = 2000,
) -> FixedPoints:
    """Distinct fixed points of the mean-field equations that are reached from given states.

    Two converged starts are at the same point where no visible activity differs by ``distinct`` or more.

    Parameters
    ----------
    rbm : the model
    v : (n_starts, N) states or activities
    h : (n_starts, M) activities; None takes the conditional means of ``v``
    order : 1 naive mean field, 2 TAP, 3 with the third-order term
    beta : inverse temperature
    damping : share of the old activities kept at each step, in [0, 1)
    tolerance : largest change of an activity at which a start counts as converged; float32 resolves 1e-6
    distinct : least difference of two points, well above the tolerance, since slow directions stop early
    max_iterations : after which a start counts as not converged

    Raises
    ------
    InputError : a number that cannot be used, or ``distinct`` not above ten times the tolerance
    ShapeError : states that do not fit the model
    """
    rbm = one_model(rbm, "fixed_points")
    check_positive("tolerance", tolerance)
    check_count("max_iterations", max_iterations)
    if order not in (1, 2, 3) or not 0 <= damping < 1:
        raise InputError(f"order must be 1, 2 or 3 and damping in [0, 1), found {order!r} and {damping!r}")
    if not tolerance < _ROUNDING * distinct:
        raise InputError(
            f"points closer than distinct={distinct:g} count as one, which needs a tolerance below a tenth of it, "
            f"found {tolerance:g}; lower the tolerance"
        )
    single = rbm.to(dtype=torch.float32)
    m = single.as_visible(v)
    n = single.hidden_probability(m, beta) if h is None else single.as_hidden(h)
    if m.ndim != 2 or n.shape[0] != m.shape[0] or m.shape[0] == 0:
        raise ShapeError(f"starts must be (n_starts, {rbm.n_visible}), found {tuple(m.shape)} and {tuple(n.shape)}")
    problem = MeanFieldProblem(
        single.weights, single.visible_bias, single.hidden_bias, check_positive("beta", beta), order
    )
    return _merged(iterate(problem, m, n, damping, tolerance, max_iterations), tolerance, distinct)


def _merged(state: Ensemble, tolerance: float, distinct: float) -> FixedPoints:
    """Leaders among the converged rows in their order, each row with the leader it is close to; then the others."""
    done = state.residual < tolerance
    good, bad = done.nonzero()[:, 0], (~done).nonzero()[:, 0]
    member = torch.full((len(done),), -1, dtype=torch.int64)
    leaders: list[int] = []
    for block in torch.split(good, _BLOCK):
        rows, left = state.m[block], torch.ones(len(block), dtype=torch.bool)
        if leaders:
            known = state.m[torch.as_tensor(leaders)]
            nearest = torch.cdist(rows, known).argmin(1)
            near = (rows - known[nearest]).abs().amax(1) < distinct
            member[block[near]] = nearest[near].cpu()
            left = ~near
        while bool(left.any()):
            first = int(left.nonzero()[0, 0])
            same = left & ((rows - rows[first]).abs().amax(1) < distinct)
            member[block[same]] = len(leaders)
            leaders.append(int(block[first]))
            left &= ~same
    member[bad] = len(leaders) + torch.arange(len(bad))
    kept = torch.cat([torch.as_tensor(leaders, dtype=torch.int64), bad.cpu()])
    return FixedPoints(
        m=state.m[kept],
        n=state.n[kept],
        converged=done[kept].cpu().numpy(),
        member=member.numpy(),
        residual=state.residual[kept].double().cpu().numpy(),
    )


@checked
def fixed_point_tree(
    models: Sequence[RBM | Callable[[], RBM]],
    updates: Sequence[int],
    data: Arrays,
    progress: Progress = False,
    **options: Any,
) -> FixedPointTree:
    """Fixed points from every sample at the last checkpoint, followed back to the first.

    Parameters
    ----------
    models : (T,) checkpoints in the order of training, two or more, or functions that load them
    updates : (T,) their updates, rising
    data : (n_samples, N) binary samples, or a `Dataset` for its training rows
    progress : see `rbmscape.progress`; counts checkpoints
    **options : of `fixed_points`

    Raises
    ------
    InputError : fewer than two checkpoints, updates that do not rise, or an option that cannot be used
    ShapeError : data that do not fit the models
    """
    models, times = list(models), number_array(updates, "updates").astype(np.int64)
    if len(models) < 2 or times.size != len(models) or (np.diff(times) <= 0).any():
        raise InputError(
            f"a tree needs two or more checkpoints with rising updates, found {len(models)} models and {times.size} "
            "updates"
        )
    levels: list[FixedPoints] = []
    m: Arrays = data
    n: Arrays | None = None
    with reporting(progress, "checkpoints", len(models)) as advance:
        for model in reversed(models):
            rbm = model() if callable(model) else model
            m = training_rows(m, "data", getattr(rbm, "columns", None))
            found = fixed_points(rbm, m, n, **options)
            levels.append(found)
            m, n = found.m, found.n
            advance(1)
    levels.reverse()
    return FixedPointTree(
        updates=times,
        sizes=np.asarray([len(level.converged) for level in levels]),
        unconverged=np.asarray([int((~level.converged).sum()) for level in levels]),
        parents=tuple(level.member for level in levels[:-1]),
        member=levels[-1].member,
        activities=tuple(level.m.cpu().numpy() for level in levels),
    )
