"""rbmscape: train Restricted Boltzmann Machines fast, measure them honestly, see how they learn in reciprocal space.

The public names, nothing else.  Each is imported from its module when it is first used, so that
``import rbmscape`` stays quick.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_THREADS_SPIN = "torch" in sys.modules and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    # threads that wait for others give up the processor soon; libgomp reads this when torch loads it
    os.environ["GOMP_SPINCOUNT"] = "2000"

_HOMES = {
    "RBM": "rbmscape.model.rbm",
    "Dataset": "rbmscape.data.dataset",
    "load_dataset": "rbmscape.data.load",
    "describe": "rbmscape.data.describe",
    "Description": "rbmscape.data.describe",
    "write_packed": "rbmscape.data.write",
    "Estimate": "rbmscape.stats",
    "Samples": "rbmscape.sampling.samples",
    "sample": "rbmscape.sampling.sample",
    "equilibrium_samples": "rbmscape.sampling.equilibrium",
    "conditional_samples": "rbmscape.sampling.conditional",
    "ConditionalSamples": "rbmscape.sampling.conditional",
    "TrainingConfig": "rbmscape.runs.config",
    "Run": "rbmscape.runs.run",
    "train": "rbmscape.training.train",
    "train_many": "rbmscape.training.many",
    "Callback": "rbmscape.training.callbacks",
    "CsvTracker": "rbmscape.training.callbacks",
    "TensorBoardTracker": "rbmscape.training.callbacks",
    "log_partition": "rbmscape.likelihood.estimate",
    "log_likelihood": "rbmscape.likelihood.estimate",
    "likelihood_bracket": "rbmscape.likelihood.bracket",
    "Bracket": "rbmscape.likelihood.bracket",
    "log_probability": "rbmscape.likelihood.rows",
    "LogProbability": "rbmscape.likelihood.rows",
    "flip_differences": "rbmscape.likelihood.rows",
    "anomaly_scores": "rbmscape.likelihood.rows",
    "quality": "rbmscape.runs.quality",
    "Quality": "rbmscape.runs.quality",
    "mixing_report": "rbmscape.reciprocal.mixing",
    "training_signs": "rbmscape.reciprocal.signs",
    "Modes": "rbmscape.reciprocal.modes",
    "Coordinates": "rbmscape.reciprocal.coordinates",
    "MarchenkoPastur": "rbmscape.reciprocal.marchenko_pastur",
    "spin_parameters": "rbmscape.model.spins",
    "SpinParameters": "rbmscape.model.spins",
    "effective_couplings": "rbmscape.reciprocal.couplings",
    "kurtosis": "rbmscape.reciprocal.gaussianity",
    "mean_field": "rbmscape.diffusion.mean_field",
    "MeanField": "rbmscape.diffusion.mean_field",
    "EffectivePotential": "rbmscape.diffusion.effective_potential",
    "boson_spectrum": "rbmscape.diffusion.bosons",
    "Bosons": "rbmscape.diffusion.bosons",
    "CurieWeiss": "rbmscape.diffusion.curie_weiss",
    "slow_modes": "rbmscape.diffusion.slowing",
    "hysteresis": "rbmscape.diffusion.hysteresis",
    "fixed_points": "rbmscape.diffusion.tree",
    "fixed_point_tree": "rbmscape.diffusion.tree",
    "FokkerPlanck1D": "rbmscape.diffusion.fokker_planck",
    "langevin": "rbmscape.diffusion.langevin",
    "random_rotation": "rbmscape.symmetry.rotations",
    "rotated_weights": "rbmscape.symmetry.rotations",
    "rotation_divergence": "rbmscape.symmetry.divergence",
    "linear_growth": "rbmscape.symmetry.growth",
    "measured_growth": "rbmscape.symmetry.growth",
    "recovery": "rbmscape.symmetry.recovery",
    "measured_curve": "rbmscape.symmetry.scaling",
    "finite_size_scaling": "rbmscape.symmetry.scaling",
    "spin_observables": "rbmscape.symmetry.spins",
    "layer_overlaps": "rbmscape.symmetry.overlaps",
    "landau": "rbmscape.symmetry.landau",
    "Landau": "rbmscape.symmetry.landau",
    "StudyConfig": "rbmscape.study.config",
    "Study": "rbmscape.study.study",
    "run_study": "rbmscape.study.study",
    "open_study": "rbmscape.study.study",
    "SearchConfig": "rbmscape.study.search_config",
    "Search": "rbmscape.study.search",
    "search": "rbmscape.study.search",
    "open_search": "rbmscape.study.search",
    "read_model": "rbmscape.interop.convert",
    "write_model": "rbmscape.interop.convert",
    "check": "rbmscape.study.check",
    "explore": "rbmscape.explorer.explore",
    "RbmscapeError": "rbmscape.errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rbmscape' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
