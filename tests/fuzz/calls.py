"""A cheap and right call of every public function and method, and values that its arguments should not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rbmscape as rs
from rbmscape.figures.material import RunKey
from rbmscape.symmetry.scaling import measured_curve

Call = tuple[Callable[..., Any], dict[str, Any]]

BITS = np.random.default_rng(5).integers(0, 2, (12, 6)).astype(np.uint8)
HIDDEN = np.random.default_rng(6).integers(0, 2, (12, 4)).astype(np.uint8)
KNOWN = [1.0, 0.0, float("nan"), float("nan"), 1.0, 0.0]
CONFIG = {"n_hidden": 4, "epochs": 2, "batch_size": 6, "n_chains": 20, "early_checkpoints": 2, "engine": "reference"}
SEARCH = {"data": {"source": "planted", "options": {"n_visible": 8}}, "search": {"hidden": [2, 3, 4]}, "factor": 2}
PLAN = {"hidden": [2], "replicas": 1, "data": {"source": "planted", "options": {"n_visible": 8}}}
SMALL = {"n_chains": 20, "n_betas": 20, "seed": 0, "engine": "reference", "precision": "auto", "progress": False}
TRACKERS = (rs.CsvTracker, rs.TensorBoardTracker)
ENGINE = {"seed": 0, "engine": "reference", "precision": "auto", "progress": False}


@cache
def things() -> dict[str, Any]:
    """What calls are made on; the run lies in a temporary directory."""
    rbm = rs.RBM.random(6, 4, std=0.6, seed=2)
    dataset = rs.Dataset.from_array(BITS, BITS[:5], train_labels=np.arange(12) % 2)
    modes, potential = rs.Modes.of(rbm), rs.EffectivePotential(rbm)
    grid = np.linspace(-2, 2, 21)
    planted = [rs.load_dataset("planted", n_visible=8, n_train=20, n_test=0, seed=seed) for seed in (0, 1)]
    models = [rs.CurieWeiss(8, 8, strength).rbm() for strength in (0.6, 1.0, 1.4)]
    return {
        "rbm": rbm,
        "dataset": dataset,
        "modes": modes,
        "potential": potential,
        "grid": grid,
        "planted": planted,
        "config": rs.TrainingConfig(**CONFIG),
        "plan": rs.StudyConfig(**PLAN),
        "run": rs.train(dataset, rs.TrainingConfig(**CONFIG), progress=False),
        "z": potential.z(np.full(6, 0.4), np.full(4, 0.6)),
        "coordinates": modes.project(BITS, HIDDEN),
        "law": rs.MarchenkoPastur(6, 4, 0.1),
        "walls": rs.FokkerPlanck1D(np.square, grid),
        "bosons": rs.boson_spectrum(rbm),
        "weiss": rs.CurieWeiss(8, 8, 1.5),
        "growth": rs.linear_growth(BITS, 2),
        "landau": rs.landau(rbm, 0),
        "models": models,
        "curves": [
            measured_curve([rs.CurieWeiss(n, n, d).rbm() for d in (0.6, 1.0, 1.4)], n_chains=50) for n in (8, 16)
        ],
        "bracket": rs.likelihood_bracket(rbm, BITS, 20, 20, max_betas=20, engine="reference"),
        "completed": rs.conditional_samples(rbm, KNOWN, 4),
    }


@cache
def calls() -> dict[str, Call]:
    """By the names of `rbmscape.__all__` and of their public methods."""
    return _models() | _data() | _sampling() | _reciprocal() | _diffusion() | _symmetry() | _runs()


def _models() -> dict[str, Call]:
    rbm = things()["rbm"]
    return {
        "RBM": (
            rs.RBM,
            {"weights": np.eye(3, 2), "visible_bias": np.zeros(3), "hidden_bias": np.zeros(2), "columns": list("abc")},
        ),
        "RBM.random": (rs.RBM.random, {"n_visible": 3, "n_hidden": 2, "std": 0.1, "seed": 0}),
        "RBM.as_visible": (rbm.as_visible, {"v": BITS}),
        "RBM.as_hidden": (rbm.as_hidden, {"h": HIDDEN}),
        "RBM.hidden_field": (rbm.hidden_field, {"v": BITS}),
        "RBM.visible_field": (rbm.visible_field, {"h": HIDDEN}),
        "RBM.energy": (rbm.energy, {"v": BITS, "h": HIDDEN}),
        "RBM.free_energy": (rbm.free_energy, {"v": BITS, "beta": 1.0}),
        "RBM.hidden_probability": (rbm.hidden_probability, {"v": BITS, "beta": 1.0}),
        "RBM.visible_probability": (rbm.visible_probability, {"h": HIDDEN, "beta": 1.0}),
        "RBM.to": (rbm.to, {"device": "cpu", "dtype": torch.float64}),
        "RBM.save": (rbm.save, {"path": "m.safetensors"}),
        "RBM.load": (rs.RBM.load, {"path": "nothing.safetensors"}),
        "read_model": (
            rs.read_model,
            {
                "source": rbm,
                "update": None,
                "states": "bits",
                "transpose": None,
                "dataset": None,
                "directory": None,
                "overwrite": False,
                "progress": False,
            },
        ),
        "write_model": (rs.write_model, {"model": rbm, "path": "m.npz", "format": None, "overwrite": True}),
        "spin_parameters": (rs.spin_parameters, {"rbm": rbm}),
        "SpinParameters.energy": (rs.spin_parameters(rbm).energy, {"v": 2.0 * BITS - 1, "h": 2.0 * HIDDEN - 1}),
    }


def _data() -> dict[str, Call]:
    dataset = things()["dataset"]
    rows = {"train_labels": None, "test_labels": None, "train_weights": None, "test_weights": None}
    kinds = {"image_shape": (2, 3), "threshold": None, "states": "bits", "missing": "refuse"}
    options = {
        "threshold": 1.0,
        "test": None,
        "test_fraction": 0.2,
        "validation_fraction": None,
        "groups": None,
        "stratify": None,
        "labels": None,
    }
    options |= {"image_shape": (2, 3), "n_train": None, "n_test": None, "weights": None, "states": None, "seed": 0}
    made = {"n_visible": 8, "rank": 2, "strengths": None, "n_train": 20, "n_test": 5, "seed": 0}
    return {
        "Dataset.from_array": (rs.Dataset.from_array, {"train": BITS, "test": BITS, "name": "x", **rows, **kinds}),
        "Dataset.complete": (dataset.complete, {"purpose": "x"}),
        "Dataset.ordered_by": (dataset.ordered_by, {"columns": ["a"] * 6}),
        "Dataset.part": (dataset.part, {"name": "train"}),
        "Dataset.with_labels": (dataset.with_labels, {"labels": [0]}),
        "Dataset.limited": (dataset.limited, {"n_train": 5, "n_test": 2}),
        "Dataset.divided": (dataset.divided, {"test": np.arange(3), "train": np.arange(3, 12)}),
        "load_dataset": (rs.load_dataset, {"source": BITS, **options}),
        "load_dataset of a file": (rs.load_dataset, {"source": "d.csv", "key": None, "digits": None, "missing": None}),
        "load_dataset of planted": (rs.load_dataset, {"source": "planted", **made}),
        "load_dataset of ising": (
            rs.load_dataset,
            {"source": "ising", "image_shape": (4, 4), "temperature": 3.0, "n_train": 10, "n_test": 5, "seed": 0},
        ),
        "load_dataset of bits": (rs.load_dataset, {"source": np.packbits(BITS, axis=1), "n_visible": 6}),
        "describe": (rs.describe, {"dataset": dataset}),
        "write_packed": (rs.write_packed, {"data": BITS, "path": "p.npy"}),
    }


def _sampling() -> dict[str, Call]:
    rbm, dataset = things()["rbm"], things()["dataset"]
    estimate = rs.log_partition(rbm, "exact")
    return {
        "Estimate.interval": (rs.Estimate(1.0, 0.1, 10.0).interval, {"level": 0.9}),
        "Estimate.z_score": (rs.Estimate(1.0, 0.1, 10.0).z_score, {"exact": 1.1}),
        "sample": (
            rs.sample,
            {"rbm": rbm, "n_chains": 4, "n_steps": 3, "start": None, "beta": 1.0, "method": "gibbs", **ENGINE},
        ),
        "equilibrium_samples": (
            rs.equilibrium_samples,
            {"models": rbm, "n_samples": 20, "others": None, "budget": 1e6, **ENGINE},
        ),
        "conditional_samples": (
            rs.conditional_samples,
            {"rbm": rbm, "known": KNOWN, "n_samples": 4, "missing": None, "method": "gibbs", "budget": 1e6, **ENGINE},
        ),
        "ConditionalSamples.row": (things()["completed"].row, {"index": 0}),
        "log_partition": (
            rs.log_partition,
            {
                "rbm": rbm,
                "method": "ais",
                "data": BITS,
                "schedule": "adaptive",
                "starts": None,
                "models": None,
                "budget": None,
                **SMALL,
            },
        ),
        "log_likelihood": (
            rs.log_likelihood,
            {"rbm": rbm, "data": dataset, "method": "ais", "partition": None, "weights": None, **SMALL},
        ),
        "likelihood_bracket": (
            rs.likelihood_bracket,
            {
                "rbm": rbm,
                "data": BITS,
                "max_betas": 20,
                "tolerance": 0.1,
                "schedule": "adaptive",
                "models": None,
                "starts": None,
                "n_rounds": 20,
                "budget": 1e6,
                **SMALL,
            },
        ),
        "Bracket.interval": (things()["bracket"].interval, {"level": 0.9}),
        "log_probability": (rs.log_probability, {"rbm": rbm, "v": BITS, "method": "exact", "partition": estimate}),
        "flip_differences": (rs.flip_differences, {"rbm": rbm, "v": BITS}),
        "anomaly_scores": (rs.anomaly_scores, {"rbm": rbm, "v": BITS, "data": BITS}),
    }


def _reciprocal() -> dict[str, Call]:
    rbm, modes, law = things()["rbm"], things()["modes"], things()["law"]
    x, y = np.ones((2, 6)), np.ones((2, 4))
    return {
        "Modes.of": (rs.Modes.of, {"rbm": rbm, "unpaired": "auto"}),
        "Modes.check_complete": (modes.check_complete, {"purpose": "x"}),
        "Modes.project": (modes.project, {"v": BITS, "h": HIDDEN}),
        "Modes.hidden_means": (modes.hidden_means, {"x": x}),
        "Modes.from_xy": (modes.from_xy, {"x": x, "y": y}),
        "Modes.from_z": (modes.from_z, {"z": np.ones((2, 10))}),
        "Modes.restore": (modes.restore, {"coordinates": things()["coordinates"]}),
        "Modes.mode_energy": (modes.mode_energy, {"i": 0, "x": 1.0, "y": 1.0}),
        "Modes.mode_energies": (modes.mode_energies, {"coordinates": things()["coordinates"]}),
        "Modes.aligned_to": (modes.aligned_to, {"other": modes, "leading": 2}),
        "MarchenkoPastur": (rs.MarchenkoPastur, {"n_visible": 6, "n_hidden": 4, "std": 0.1}),
        "MarchenkoPastur.pdf": (law.pdf, {"singular_values": [0.1, 0.2]}),
        "MarchenkoPastur.cdf": (law.cdf, {"singular_values": [0.1, 0.2]}),
        "MarchenkoPastur.ppf": (law.ppf, {"fractions": [0.1, 0.2]}),
        "MarchenkoPastur.rvs": (law.rvs, {"size": 3, "seed": 0}),
        "MarchenkoPastur.spectrum": (law.spectrum, {"generator": np.random.default_rng(0)}),
        "effective_couplings": (rs.effective_couplings, {"rbm": rbm, "order": 2, "states": "bits", "units": None}),
        "kurtosis": (rs.kurtosis, {"rbm": rbm}),
        "quality": (
            rs.quality,
            {"run": rbm, "data": things()["dataset"], "update": -1, "n_samples": 50, "budget": 1e6, **ENGINE},
        ),
        "mixing_report": (
            rs.mixing_report,
            {
                "run": things()["run"],
                "data": BITS,
                "update": -1,
                "n_chains": 20,
                "factors": (1, 2),
                "n_modes": 2,
                "n_checkpoints": 1,
                **ENGINE,
            },
        ),
        "training_signs": (
            rs.training_signs,
            {"run": things()["run"], "data": BITS, "n_checkpoints": 1, "n_chains": 20, "factors": (1, 2), **ENGINE},
        ),
    }


def _diffusion() -> dict[str, Call]:
    it = things()
    rbm, modes, potential, z = it["rbm"], it["modes"], it["potential"], it["z"]
    m, n = np.full(6, 0.4), np.full(4, 0.6)
    states = {"z": z}
    points = {"distinct": 0.05, "damping": 0.2, "tolerance": 1e-4, "max_iterations": 50}
    return {
        "mean_field": (
            rs.mean_field,
            {
                "rbm": rbm,
                "beta": 1.0,
                "order": 1,
                "n_starts": 2,
                "data": None,
                "continuation": 2,
                "damping": None,
                "tolerance": 1e-6,
                "max_iterations": 50,
                "seed": 0,
            },
        ),
        "EffectivePotential": (
            rs.EffectivePotential,
            {"rbm": rbm, "beta": 1.0, "modes": modes, "dtype": torch.float64},
        ),
        "EffectivePotential.z": (potential.z, {"m": m, "n": n}),
        "EffectivePotential.constraint_of_bits": (potential.constraint_of_bits, {"m": m, "n": n}),
        "EffectivePotential.value_of_bits": (potential.value_of_bits, {"m": m, "n": n}),
        "EffectivePotential.gradient_of_bits": (potential.gradient_of_bits, {"m": m, "n": n}),
        "EffectivePotential.hessian_vector_product": (
            potential.hessian_vector_product,
            {"z": z, "vector": np.ones(10)},
        ),
        **{
            f"EffectivePotential.{name}": (getattr(potential, name), states)
            for name in ("bits", "constraint", "value", "gradient", "value_and_gradient", "derivatives", "hessian")
        },
        "boson_spectrum": (
            rs.boson_spectrum,
            {"rbm": rbm, "beta": 1.0, "reference": "uniform", "data": BITS, "coupled": True, "modes": modes},
        ),
        "Bosons.energy": (it["bosons"].energy, {"occupations": {0: 1}}),
        "Bosons.levels": (it["bosons"].levels, {"n_levels": 3}),
        "CurieWeiss": (rs.CurieWeiss, {"n_visible": 8, "n_hidden": 8, "dressed": 1.0, "field": 0.0}),
        "CurieWeiss.eigenvalues": (it["weiss"].eigenvalues, {"count": 2}),
        "CurieWeiss.magnetisation": (it["weiss"].magnetisation, {"start": 1.0, "iterations": 50}),
        "slow_modes": (
            rs.slow_modes,
            {
                "rbm": rbm,
                "start": np.resize(BITS, (40, 6)),
                "n_modes": 1,
                "n_steps": 100,
                "burn_in": 5,
                "beta": 1.0,
                "seed": 0,
            },
        ),
        "hysteresis": (
            rs.hysteresis,
            {
                "rbm": rbm,
                "mode": 0,
                "fields": None,
                "n_fields": 5,
                "method": "mean_field",
                "modes": modes,
                "order": 1,
                "beta": 1.0,
                "n_chains": 4,
                "n_steps": 5,
                "seed": 0,
            },
        ),
        "fixed_points": (rs.fixed_points, {"rbm": rbm, "v": BITS, "h": None, "order": 2, "beta": 1.0, **points}),
        "fixed_point_tree": (
            rs.fixed_point_tree,
            {"models": [rbm, rbm], "updates": [0, 1], "data": BITS, "progress": False, "order": 2},
        ),
        "FokkerPlanck1D": (
            rs.FokkerPlanck1D,
            {"potential": np.square, "grid": it["grid"], "beta": 1.0, "order": 4, "walls": "reflecting", "n_levels": 3},
        ),
        "FokkerPlanck1D.moment": (it["walls"].moment, {"power": 1, "about": 0.0}),
        "FokkerPlanck1D.autocorrelation": (it["walls"].autocorrelation, {"times": [0.0, 1.0]}),
        "FokkerPlanck1D.evolve": (it["walls"].evolve, {"p0": np.ones(21), "times": [0.0, 1.0]}),
        "langevin": (
            rs.langevin,
            {
                "rbm": rbm,
                "potential": "entropic",
                "n_chains": 4,
                "n_steps": 5,
                "dt": None,
                "beta": 1.0,
                "diffusion": None,
                "start": "reference",
                "reference": "uniform",
                "data": BITS,
                "mode_indices": None,
                "modes": modes,
                "record_every": 1,
                "n_snapshots": 0,
                "n_kept": 2,
                "seed": 0,
                "dtype": None,
                "progress": False,
            },
        ),
    }


def _symmetry() -> dict[str, Call]:
    it = things()
    rbm, modes = it["rbm"], it["modes"]
    turn = {"seed": 0, "planes": "axes", "fraction": 0.1, "modes": modes}
    return {
        "random_rotation": (
            rs.random_rotation,
            {"n": 4, "n_rotations": 3, "planes": "axes", "seed": 0, "angle": None, "stream": "x"},
        ),
        "rotated_weights": (rs.rotated_weights, {"rbm": rbm, **turn}),
        "rotation_divergence": (
            rs.rotation_divergence,
            {"rbm": rbm, "n_rotations": 2, "n_bins": 10, "n_resamples": 20, **turn},
        ),
        "linear_growth": (rs.linear_growth, {"data": BITS, "n_modes": 2}),
        "measured_growth": (
            rs.measured_growth,
            {
                "models": [rbm] * 8,
                "updates": range(8),
                "exposure": np.arange(8.0),
                "growth": it["growth"],
                "batch_size": 14,
                "n_chains": 14,
                "weak": 5.0,
                "lag": 0.1,
            },
        ),
        "recovery": (rs.recovery, {"datasets": it["planted"], "models": None, "direction": 0}),
        "measured_curve": (
            rs.measured_curve,
            {"models": it["models"], "size": None, "dressed": None, "seed": 0, "n_chains": 20},
        ),
        "finite_size_scaling": (rs.finite_size_scaling, {"curves": it["curves"], "seed": 0}),
        "spin_observables": (
            rs.spin_observables,
            {"data": np.resize(BITS, (40, 6)), "image_shape": (2, 3), "temperature": 2.0, "n_blocks": 10},
        ),
        "layer_overlaps": (rs.layer_overlaps, {"data": BITS, "n_bins": 11}),
        "landau": (
            rs.landau,
            {
                "rbm": rbm,
                "mode": 0,
                "branch": "u",
                "reference": "uniform",
                "beta": 1.0,
                "fluctuation": 0.0,
                "data": BITS,
                "modes": modes,
            },
        ),
        "Landau.value": (it["landau"].value, {"z": [0.1, 0.2]}),
        "Landau.gradient": (it["landau"].gradient, {"z": [0.1, 0.2]}),
        "Landau.minima_within": (it["landau"].minima_within, {"low": -1.0, "high": 1.0}),
    }


def _runs() -> dict[str, Call]:
    it = things()
    run, config, plan, dataset = it["run"], it["config"], it["plan"], it["dataset"]
    crew = {"progress": False, "workers": None, "scheduler": None}
    told = {"checkpoint": {"run": run, "metrics": {"update": 1, "x": 2.0, "y": [1.0]}}, "end": {"run": run}}
    how = {"resume": False, "overwrite": True, "until_update": 2, "progress": False}
    return {
        "TrainingConfig": (rs.TrainingConfig, CONFIG),
        "TrainingConfig.from_mapping": (rs.TrainingConfig.from_mapping, {"values": CONFIG}),
        "TrainingConfig.recommended": (rs.TrainingConfig.recommended, CONFIG),
        "TrainingConfig.recommended of data": (rs.TrainingConfig.recommended, {"data": dataset, "epochs": 1}),
        "TrainingConfig.paper": (rs.TrainingConfig.paper, {"epochs": 3}),
        "TrainingConfig.replace": (config.replace, {"epochs": 3, "learning_rate": 0.1, "adam_betas": (0.5, 0.5)}),
        "TrainingConfig.updates_per_epoch": (config.updates_per_epoch, {"n_train": 12}),
        "TrainingConfig.checkpoint_updates": (config.checkpoint_updates, {"updates_per_epoch": 2}),
        "Run.open": (rs.Run.open, {"directory": run.directory}),
        "Run.load": (run.load, {"update": -1, "averaged": True}),
        "Run.models": (lambda **given: list(run.models(**given)), {"updates": [0], "averaged": True}),
        "Run.path": (run.path, {"update": -1}),
        "train": (
            rs.train,
            {"dataset": dataset, "config": config, "directory": "r", "init": None, "callbacks": (), **how},
        ),
        "train_many": (
            rs.train_many,
            {"dataset": dataset, "configs": [config], "directories": ["q"], "callbacks": (), **how},
        ),
        "CsvTracker": (rs.CsvTracker, {"path": "t.csv"}),
        "TensorBoardTracker": (rs.TensorBoardTracker, {"directory": "t"}),
        **{
            f"{kind.__name__}.begin": (lambda run, kind=kind: kind(f"{kind.__name__} begins").begin(run), {"run": run})
            for kind in TRACKERS
        },
        **{
            f"{kind.__name__}.{name}": (partial(_tracked, kind, name), given)
            for kind in TRACKERS
            for name, given in told.items()
        },
        "StudyConfig": (rs.StudyConfig, PLAN),
        "StudyConfig.from_mapping": (rs.StudyConfig.from_mapping, {"values": PLAN}),
        "StudyConfig.replace": (
            plan.replace,
            {"hidden": (3,), "replicas": 2, "recipes": {"main": {}}, "likelihood": {}},
        ),
        "StudyConfig.training": (plan.training, {"key": RunKey(next(iter(plan.recipes)), 2, 0)}),
        "StudyConfig.training_values": (plan.training_values, {"recipe": next(iter(plan.recipes))}),
        "StudyConfig.conflict": (plan.conflict, {"other": plan}),
        "run_study": (
            partial(_refused, rs.run_study),
            {"config": plan, "directory": "s", "overwrite": False, **crew},
        ),
        "open_study": (rs.open_study, {"directory": "s"}),
        "SearchConfig": (rs.SearchConfig, SEARCH),
        "SearchConfig.from_mapping": (rs.SearchConfig.from_mapping, {"values": SEARCH}),
        "SearchConfig.rungs": (rs.SearchConfig(**SEARCH).rungs, {"epochs": 9}),
        "search": (
            partial(_refused, rs.search),
            {"config": rs.SearchConfig(**SEARCH), "directory": "s", "overwrite": False, **crew},
        ),
        "open_search": (rs.open_search, {"directory": "s"}),
        "check": (rs.check, {"directory": run.directory}),
    }


def _tracked(kind: type[Any], method: str, **given: Any) -> None:
    tracker = kind(f"{kind.__name__} {method}")
    tracker.begin(things()["run"])
    getattr(tracker, method)(**given)


def _refused(work: Callable[..., Any], **given: Any) -> None:
    """A study or a search, in a directory that it refuses, so that nothing is computed where all is right."""
    for name in ("s", "word", "nowhere", "3"):
        Path(name).mkdir(exist_ok=True)
        Path(name, "strange").touch()
    work(**given)


ELSEWHERE = (
    "Dataset", "Dataset.from_contents", "explore", "Study.result", "Study.table", "Study.figures", "Search.run",
    "Callback.begin", "Callback.checkpoint", "Callback.end",
)  # fmt: skip
"""Trusts its arguments by its docstring; serves until it is closed; are methods of a study or a search that was
computed; are what users write."""


class Strange:
    """Something that no function expects."""

    def __repr__(self) -> str:
        return "line\n\x1b[31m" * 300


VALUES: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "word": lambda: "word",
    "empty word": lambda: "",
    "number as a word": lambda: "3",
    "bytes": lambda: b"ab",
    "zero": lambda: 0,
    "minus one": lambda: -1,
    "half": lambda: 0.5,
    "seven": lambda: 7,
    "beyond 64 bits": lambda: 10**30,
    "huge": lambda: 10**400,
    "5000 digits": lambda: 10**5000,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: float("-inf"),
    "tiny": lambda: 1e-320,
    "large": lambda: 1e308,
    "complex": lambda: 1j,
    "true": lambda: True,
    "false": lambda: False,
    "a list": lambda: [2],
    "no list": list,
    "ragged": lambda: [[1, 0], [1]],
    "words": lambda: ["a", "b"],
    "a table": lambda: {"a": 1},
    "no table": dict,
    "a set": lambda: {1, 2},
    "NumPy's int8": lambda: np.int8(2),
    "NumPy's float": lambda: np.float16(2.0),
    "array of no axes": lambda: np.array(2),
    "array of one": lambda: np.array([2]),
    "no rows": lambda: np.zeros((0, 6)),
    "no columns": lambda: np.zeros((3, 0)),
    "wrong width": lambda: np.zeros((2, 5)),
    "gaps": lambda: np.full((2, 6), np.nan),
    "infinite": lambda: np.full((2, 6), np.inf),
    "twos": lambda: np.full((2, 6), 2),
    "complex array": lambda: np.ones((2, 6), complex),
    "objects": lambda: np.array([[None] * 6] * 2),
    "letters": lambda: np.array([["a"] * 6]),
    "dates": lambda: np.array(["2020-01-01"] * 6, "M8[D]"),
    "many axes": lambda: np.zeros((1,) * 20),
    "masked": lambda: np.ma.masked_all((2, 6)),
    "large values": lambda: np.full((2, 6), 1e308),
    "long doubles": lambda: np.ones((2, 6), np.longdouble),
    "meta tensor": lambda: torch.ones(2, 6, device="meta"),
    "complex tensor": lambda: torch.ones(2, 6, dtype=torch.complex64),
    "half tensor": lambda: torch.ones(2, 6, dtype=torch.bfloat16),
    "sparse tensor": lambda: torch.eye(6).to_sparse(),
    "gradient": lambda: torch.ones(2, 6, requires_grad=True),
    "iterator": lambda: iter([1, 2]),
    "something": Strange,
    "a class": lambda: Strange,
    "a function": lambda: len,
    "a model": lambda: things()["rbm"],
    "a data set": lambda: things()["dataset"],
    "a run": lambda: things()["run"],
    "modes": lambda: things()["modes"],
    "another model": lambda: rs.RBM.random(3, 2),
    "null in a path": lambda: "a\x00b",
    "long path": lambda: "x" * 5000,
    "a path": lambda: Path("nowhere"),
    "device file": lambda: "/dev/null",
    "escape": lambda: "\x1b[31m[/b]\n",
    "half a letter": lambda: "\ud800",
    "torch's type": lambda: torch.int8,
    "slice": lambda: slice(3),
    "ellipsis": lambda: ...,
    "a pair": lambda: (2, 3),
    "minus pair": lambda: (-1, -6),
    "large pair": lambda: (10**9, 10**9),
    "a billion": lambda: 10**9,
}

TAKES_ITS_TIME = frozenset(
    {
        "n_steps",
        "burn_in",
        "max_iterations",
        "iterations",
        "n_betas",
        "max_betas",
        "n_rounds",
        "budget",
        "epochs",
        "continuation",
        "n_starts",
        "n_rotations",
        "n_resamples",
        "n_fields",
        "gibbs_steps",
        "checkpoint_epochs",
        "power",
        "fraction",
        "factors",
        "warmup",
        "temperature",
    }
)
"""A billion of these is a long time and no fault; where it is memory as well, `test_limits` asks for it."""


PATHS = frozenset({"path", "directory", "directories", "source", "model", "test", "run"})
"""Names may contain whatever a file system allows; the command line prints them without what a terminal obeys."""


def keys() -> Iterator[tuple[str, str, str]]:
    """Every call, argument and value."""
    for name, (_, given) in calls().items():
        for argument in given:
            for value in VALUES:
                if value == "escape" and argument in PATHS:
                    continue
                if not (value in ("a billion", "large pair", "large") and argument in TAKES_ITS_TIME):
                    yield name, argument, value


def make(name: str, argument: str, value: str) -> object:
    """The call with one argument replaced."""
    function, given = calls()[name]
    return function(**(given | {argument: VALUES[value]()}))
