r"""Langevin dynamics in reciprocal space (arXiv:2503.21536, section 4.1): dz = -∇U dt + sqrt(2D) dB, friction 1.

``gaussian``  U expanded to second order around a reference: independent Ornstein-Uhlenbeck modes, updated exactly for
              any time step, stable or not (unstable ones spread exponentially).
``entropic``  U_eff with its full confining V_const: Euler steps with exactly reflecting walls at m, n = 0 and 1.

z is an isometry of the bits (m, n), so that its isotropic noise is isotropic in bits as well: the confined dynamics is
integrated there, with two matrix products a step and no rotation.  Shapes: m (n_chains, N), n (n_chains, M).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count, check_positive, is_among, shown
from rbmscape.diffusion.bosons import boson_spectrum
from rbmscape.diffusion.mean_field import MeanField, MeanFieldSolution
from rbmscape.diffusion.reference import Reference, ReferenceKind, reference_point
from rbmscape.errors import InputError, ShapeError
from rbmscape.memory import check_memory
from rbmscape.model.arrays import Arrays, as_layer
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, reporting
from rbmscape.reciprocal.modes import Modes, modes_of
from rbmscape.reciprocal.rotation import rotate
from rbmscape.rng import Stream

__all__ = ["Trajectory", "langevin", "largest_stable_step"]

_LARGEST_GROWTH = 300.0
_DEFAULT_SHARE = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(OneLine):
    """Recorded diffusion.

    Attributes
    ----------
    times : (T,) diffusion times of the records, 0 first
    mode_indices : the K recorded modes
    u, w : (T, n_chains, K) their coordinates
    m, n : (n_chains, N), (n_chains, M) final activities
    snapshot_times : (S,)
    snapshots_m, snapshots_n : (S, kept chains, N), (S, kept chains, M)
    potential : "gaussian" or "entropic"
    dt : time step
    diffusion : D
    """

    times: Tensor
    mode_indices: tuple[int, ...]
    u: Tensor
    w: Tensor
    m: Tensor
    n: Tensor
    snapshot_times: Tensor
    snapshots_m: Tensor
    snapshots_n: Tensor
    potential: str
    dt: float
    diffusion: float

    def _headline(self) -> str:
        return (
            f"{self.potential}, {self.n_chains} chains, time {float(self.times[-1]):.4g} in steps of {self.dt:.3g}, "
            f"{self.times.numel()} records of {len(self.mode_indices)} modes, D {self.diffusion:.4g}"
        )

    @property
    def n_chains(self) -> int:
        """Number of independent chains."""
        return int(self.m.shape[0])


def largest_stable_step(rbm: RBM, beta: float = 1.0, diffusion: float | None = None) -> float:
    """Largest time step that the confined integrator accepts: min(2/(4/β + λ_1), 1/(8 D)).

    The first is Euler's limit for the stiffest linear mode, w_1 at the cube's centre; at the second a step's noise
    sqrt(2 D dt) is half the width of the cube, beyond which both walls would be met in one step.

    Raises
    ------
    InputError : beta or diffusion is not above 0
    """
    beta = check_positive("beta", beta)
    spread = 1.0 / beta if diffusion is None else check_positive("diffusion", diffusion)
    top = float(torch.linalg.matrix_norm(rbm.weights.double(), ord=2))
    return min(2.0 / (4.0 / beta + top), 1.0 / (8.0 * spread))


@dataclass(frozen=True, eq=False)
class _Plan:
    """Checked arguments that both integrators read."""

    rbm: RBM
    beta: float
    diffusion: float
    dt: float
    n_steps: int
    record_steps: tuple[int, ...]
    snapshot_steps: tuple[int, ...]
    n_kept: int
    mode_indices: tuple[int, ...]
    stream: Stream
    progress: Progress

    @property
    def stops(self) -> list[int]:
        """Steps after which something is looked at, 0 and the last included."""
        return sorted({0, self.n_steps, *self.record_steps, *self.snapshot_steps})


@checked
def langevin(
    rbm: RBM,
    potential: Literal["gaussian", "entropic"] = "entropic",
    *,
    n_chains: int = 1000,
    n_steps: int = 1000,
    dt: float | None = None,
    beta: float = 1.0,
    diffusion: float | None = None,
    start: Literal["reference", "random"] | tuple[Arrays, Arrays] = "reference",
    reference: ReferenceKind | Reference | MeanField | MeanFieldSolution = "uniform",
    data: Arrays | None = None,
    mode_indices: Iterable[int] | None = None,
    modes: Modes | None = None,
    record_every: int = 1,
    n_snapshots: int = 0,
    n_kept: int = 32,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    progress: Progress = False,
) -> Trajectory:
    r"""Simulate dz = -∇U dt + sqrt(2D) dB for many chains.

    Parameters
    ----------
    rbm : the model, any size
    potential : "entropic" (confined, U_eff itself) or "gaussian" (second order around the reference, unbounded)
    n_chains, n_steps : how many chains and steps
    dt : time step; default a tenth of `largest_stable_step` (gaussian: the same, though any step is exact)
    beta : inverse temperature in U_eff, > 0
    diffusion : D; default 1/β, for which exp(-βU) is stationary
    start : the reference point, bits uniform in the cube ("random"), or activities (m, n), (N,) or (n_chains, N) each
    reference, data : point of the expansion and of the start, see `reference_point`
    mode_indices : modes whose u and w are recorded; default the first eight
    modes : modes that define u and w, instead of ``Modes.of(rbm)``
    record_every : steps between records
    n_snapshots : pictures of the first n_kept chains, at times that grow geometrically, the first at 0
    seed : of all noise; the numbers of a chain do not depend on the other chains
    dtype : float32 (entropic) or float64 (gaussian) by default
    progress : see `rbmscape.progress`; counts steps

    Returns
    -------
    Trajectory.  Gaussian: exact at every time.  Entropic: weak error O(dt) in the bulk, none from a wall at constant
    drift; positions are kept 1e-6 away from the walls, where the drift's logarithm diverges.

    Raises
    ------
    InputError : beta, dt, diffusion or a count out of range; dt above the largest stable one (the message names it); a
        start outside the cube (entropic); flat or missing modes; a gaussian run so long that it would overflow
    ShapeError : a start that does not fit
    """
    check_choice("potential", potential, ("gaussian", "entropic"))
    plan = _plan(rbm, beta, diffusion, dt, n_steps, record_every, n_snapshots, n_kept, mode_indices, seed, progress)
    check_count("n_chains", n_chains)
    check_memory(24 * n_chains * (rbm.n_visible + rbm.n_hidden), f"{n_chains} trajectories", "take fewer at a time")
    modes = modes_of(rbm, modes)
    _check_modes(plan, modes)
    point = reference_point(rbm, reference, data, plan.beta)
    entropic = potential == "entropic"
    if not any(dtype is known for known in (None, torch.float32, torch.float64)):
        raise InputError(f"dtype must be torch.float32 or torch.float64, found {shown(dtype)}; leave it out")
    kind = dtype or (torch.float32 if entropic else torch.float64)
    m, n = _start(rbm, start, point, n_chains, kind, plan.stream)
    recorder = _Recorder(plan, modes, n_chains, kind)
    if entropic:
        m, n = _run_entropic(plan, m, n, recorder)
    else:
        m, n = _run_gaussian(plan, modes, point, m, n, recorder)
    return recorder.trajectory(m, n, potential)


def _plan(
    rbm: RBM,
    beta: float,
    diffusion: float | None,
    dt: float | None,
    n_steps: int,
    record_every: int,
    n_snapshots: int,
    n_kept: int,
    mode_indices: Iterable[int] | None,
    seed: int,
    progress: Progress,
) -> _Plan:
    beta = check_positive("beta", beta)
    spread = 1.0 / beta if diffusion is None else check_positive("diffusion", diffusion)
    step = check_positive("dt", _DEFAULT_SHARE * largest_stable_step(rbm, beta, spread) if dt is None else dt)
    check_count("n_steps", n_steps)
    check_count("record_every", record_every)
    check_count("n_snapshots", n_snapshots, 0)
    check_count("n_kept", n_kept)
    growing = torch.logspace(0, math.log10(n_steps), max(n_snapshots - 1, 1), dtype=torch.float64).round().int()
    snapshots = {0, *growing.tolist(), n_steps} if n_snapshots > 1 else ({n_steps} if n_snapshots else set())
    width = min(rbm.n_visible, rbm.n_hidden)
    return _Plan(
        rbm=rbm,
        beta=beta,
        diffusion=spread,
        dt=step,
        n_steps=n_steps,
        record_steps=tuple(range(0, n_steps + 1, record_every)),
        snapshot_steps=tuple(sorted(snapshots)),
        n_kept=n_kept,
        mode_indices=tuple(range(min(8, width))) if mode_indices is None else tuple(int(i) for i in mode_indices),
        stream=Stream(seed, "diffusion/langevin"),
        progress=progress,
    )


def _check_modes(plan: _Plan, modes: Modes) -> None:
    for index in plan.mode_indices:
        if not 0 <= index < modes.n_paired:
            raise InputError(f"mode {index} does not exist; record modes from 0 to {modes.n_paired - 1}")
        if bool(modes.flat[index]):
            raise InputError(f"mode {index} has singular value 0, so that its u and w are undefined; leave it out")


def _start(
    rbm: RBM,
    start: Literal["reference", "random"] | tuple[Arrays, Arrays],
    point: Reference,
    n_chains: int,
    dtype: torch.dtype,
    stream: Stream,
) -> tuple[Tensor, Tensor]:
    """Writable activities of all chains."""
    widths = (rbm.n_visible, rbm.n_hidden)
    if is_among(start, ("random",)):
        child = stream.child("start")
        draws = [child.uniform(k, n_chains, width, device=rbm.device).to(dtype) for k, width in enumerate(widths)]
        return draws[0], draws[1]
    if is_among(start, ("reference",)):
        layers: list[Tensor] = [point.m, point.n]
    elif isinstance(start, tuple) and len(start) == 2:
        names = ("visible", "hidden")
        layers = [
            as_layer(layer, width, name, torch.float64, rbm.device)
            for layer, width, name in zip(start, widths, names, strict=True)
        ]
    else:
        raise InputError(f"start must be 'reference', 'random' or a pair (m, n), got {shown(start)}; pass one of these")
    for layer in layers:
        if layer.ndim > 2 or (layer.ndim == 2 and layer.shape[0] != n_chains):
            raise ShapeError(
                f"a start needs one state or one a chain ({n_chains}), got {tuple(layer.shape)}; change it"
            )
    m, n = (layer.to(dtype).expand(n_chains, -1).clone() for layer in layers)
    return m, n


class _Recorder:
    """Coordinates of the recorded modes and pictures of the first chains."""

    def __init__(self, plan: _Plan, modes: Modes, n_chains: int, dtype: torch.dtype) -> None:
        picks = list(plan.mode_indices)
        self._plan = plan
        self._left = modes.left[:, picks].to(dtype).contiguous()
        self._right = modes.right[:, picks].to(dtype).contiguous()
        self._origin = (modes.saddle_x[picks].to(dtype), modes.saddle_y[picks].to(dtype))
        shape = (len(plan.record_steps), n_chains, len(picks))
        self._u, self._w = (self._left.new_empty(shape) for _ in range(2))
        self._recorded = 0
        self._pictures: list[tuple[Tensor, Tensor]] = []

    def see(self, step: int, m: Tensor, n: Tensor) -> None:
        """Record the state after a step if the plan wants it."""
        if step in self._plan.record_steps:
            x, y = m @ self._left - self._origin[0], n @ self._right - self._origin[1]
            self._u[self._recorded], self._w[self._recorded] = rotate(x, y)
            self._recorded += 1
        if step in self._plan.snapshot_steps:
            self._pictures.append((m[: self._plan.n_kept].clone(), n[: self._plan.n_kept].clone()))

    def trajectory(self, m: Tensor, n: Tensor, potential: str) -> Trajectory:
        """Everything seen."""
        plan = self._plan
        none = (m.new_empty(0, 0, m.shape[1]), n.new_empty(0, 0, n.shape[1]))
        pictures = tuple(torch.stack(layer) for layer in zip(*self._pictures, strict=True)) or none
        return Trajectory(
            times=torch.tensor(plan.record_steps, dtype=torch.float64) * plan.dt,
            mode_indices=plan.mode_indices,
            u=self._u,
            w=self._w,
            m=m,
            n=n,
            snapshot_times=torch.tensor(plan.snapshot_steps, dtype=torch.float64) * plan.dt,
            snapshots_m=pictures[0],
            snapshots_n=pictures[1],
            potential=potential,
            dt=plan.dt,
            diffusion=plan.diffusion,
        )


def _run_entropic(plan: _Plan, m: Tensor, n: Tensor, recorder: _Recorder) -> tuple[Tensor, Tensor]:
    from rbmscape.diffusion.reflected_step import MARGIN, ReflectedIntegrator

    largest = largest_stable_step(plan.rbm, plan.beta, plan.diffusion)
    if plan.dt > largest * (1 + 1e-12):
        raise InputError(
            f"dt = {plan.dt:g} is unstable for this model at beta = {plan.beta:g}, the largest stable step is "
            f"{largest:.4g}; pass dt={_DEFAULT_SHARE * largest:.3g} for an accurate one"
        )
    for name, layer in (("m", m), ("n", n)):
        outside = int(((layer < 0) | (layer > 1)).any(-1).sum())
        if outside:
            raise InputError(
                f"{outside} of {layer.shape[0]} starting states lie outside the cube in {name}; clip them to [0, 1]"
            )
        layer.clamp_(MARGIN, 1 - MARGIN)
    integrator = ReflectedIntegrator(plan.rbm, m, n, plan.beta, plan.diffusion, plan.dt, plan.stream)
    recorder.see(0, m, n)
    with reporting(plan.progress, "Langevin steps", plan.n_steps) as advance:
        for step in range(plan.n_steps):
            integrator.advance(step)
            recorder.see(step + 1, m, n)
            advance(1)
    return m, n


def _run_gaussian(
    plan: _Plan, modes: Modes, point: Reference, m: Tensor, n: Tensor, recorder: _Recorder
) -> tuple[Tensor, Tensor]:
    """Exact Ornstein-Uhlenbeck updates of the normal modes from one stop to the next."""
    bosons = boson_spectrum(plan.rbm, plan.beta, point, modes=modes)
    stiffness = torch.from_numpy(2 * bosons.frequencies / plan.beta).to(m)
    growth = float(-stiffness.min()) * plan.n_steps * plan.dt
    if growth > _LARGEST_GROWTH:
        raise InputError(
            f"the gaussian diffusion would grow by e^{growth:.0f} in this time, because modes are unstable; take at "
            f"most {int(_LARGEST_GROWTH / growth * plan.n_steps)} steps of this dt, or potential='entropic'"
        )
    basis = bosons.vectors.mT.to(m)
    split = m.shape[1]
    centre = torch.cat([point.m, point.n]).to(m)
    force = _force(plan, point).to(m) @ basis
    q = (torch.cat([m, n], 1) - centre) @ basis
    stops = plan.stops
    recorder.see(0, m, n)
    with reporting(plan.progress, "Langevin steps", plan.n_steps) as advance:
        for number in range(1, len(stops)):
            time = (stops[number] - stops[number - 1]) * plan.dt
            x = -stiffness * time
            gain = torch.where(x.abs() < 1e-12, torch.full_like(x, time), time * torch.expm1(x) / x)
            variance = torch.where(x.abs() < 1e-12, torch.full_like(x, time), time * torch.expm1(2 * x) / (2 * x))
            noise = torch.from_numpy(plan.stream.numpy(number).standard_normal(tuple(q.shape))).to(q)
            q = q * torch.exp(x) + force * gain + noise * (2 * plan.diffusion * variance).sqrt()
            bits = q @ basis.mT + centre
            m, n = bits[:, :split], bits[:, split:]
            recorder.see(stops[number], m, n)
            advance(stops[number] - stops[number - 1])
    return m, n


def _force(plan: _Plan, point: Reference) -> Tensor:
    """-∂U_eff/∂(m, n) at the reference: (N + M,)."""
    weights = plan.rbm.weights.double()
    along_m = plan.rbm.visible_bias + weights @ point.n - torch.logit(point.m) / plan.beta
    along_n = plan.rbm.hidden_bias + weights.mT @ point.m - torch.logit(point.n) / plan.beta
    return torch.cat([along_m, along_n])
