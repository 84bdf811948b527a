"""The figures that a study can draw: one line a figure.

A registered module has three functions::

    for_study(material: Material) -> xarray.Dataset      # picks runs, calls the module's own compute
    draw(dataset: xarray.Dataset) -> matplotlib Figure
    alt_text(dataset: xarray.Dataset) -> str             # what the picture shows, in words, from its numbers

It may raise a `rbmscape.errors.RbmscapeError` where the material cannot show what the figure is about; the study goes
on and the report says why the figure is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rbmscape.errors import ConfigError
from rbmscape.figures.entries import by_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["FIGURES", "FigureEntry", "select"]


@dataclass(frozen=True, slots=True)
class FigureEntry:
    """One figure.

    Attributes
    ----------
    name : of its files and its key in a study plan
    title : heading in the report
    caption : what is drawn, in one or two sentences, with the paper's figure number where there is one
    needs : results of the study that it reads (``material.result(name)``)
    module : where its functions are; by default ``rbmscape.figures.<name>``
    """

    name: str
    title: str
    caption: str
    needs: tuple[str, ...] = ()
    module: str = ""

    @property
    def home(self) -> str:
        """Full name of the module."""
        return self.module or f"rbmscape.figures.{self.name}"

    def compute(self, material: Material) -> xr.Dataset:
        """Data of the figure."""
        return cast("xr.Dataset", self._function("for_study")(material))

    def draw(self, dataset: xr.Dataset) -> Figure:
        """Picture of those data."""
        return cast("Figure", self._function("draw")(dataset))

    def alt_text(self, dataset: xr.Dataset) -> str:
        """What the picture shows, in words."""
        return str(self._function("alt_text")(dataset))

    def source_hash(self) -> str:
        """SHA-256 of the module's source, so that a figure is made again when its code changes."""
        spec = find_spec(self.home)
        if spec is None or spec.origin is None:
            raise ConfigError(f"the figure {self.name!r} has no module {self.home}; correct the registry")
        return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()

    def _function(self, name: str) -> Callable[..., Any]:
        return cast("Callable[..., Any]", getattr(import_module(self.home), name))


FIGURES: tuple[FigureEntry, ...] = (
    FigureEntry(
        "likelihood",
        "Log-likelihood of the test data during training",
        "Mean log-likelihood of the test data against epochs for each size of the hidden layer, as on the left of the "
        "paper's figure 1. Points are means over replicas, thin lines single replicas, bars the standard deviation "
        "over replicas (with one replica, the estimate's own standard error).",
        needs=("likelihood",),
    ),
    FigureEntry(
        "gallery",
        "Samples",
        "Test data, and equilibrium samples of the trained models (replica exchange along the training).",
    ),
    FigureEntry(
        "image_landscapes",
        "A generated image on the energy landscapes",
        "A generated 3 (the first sample whose nearest test images are mostly threes; where there is none, the first "
        "of all) and its position, black pentagon, in the energy landscapes of twelve modes, clockwise from the upper "
        "left corner, as on the right of the paper's figure 1. Magenta star: saddle point (hollow, with its "
        "coordinates, where it lies outside); white lines: principal axes u, along which the energy falls, and w.",
    ),
    FigureEntry(
        "landscapes",
        "Energy landscapes, untrained and trained",
        "Contours of the energy E_i over x_i and y_i for modes 1, 2, 3 and the last but two, as in the paper's "
        "figure 2: test images coloured by class, equilibrium samples as grey hexagons, the saddle point as a magenta "
        "star. The untrained model has no biases, so that its saddles lie at the origin.",
    ),
    FigureEntry(
        "random_spectra",
        "Singular values of random weights",
        "Histograms of the singular values of fresh random weights and the Marchenko-Pastur law (equation 20), as in "
        "the paper's figure 3 a to d; dotted: its edges. p-values are calibrated with spectra of random matrices.",
    ),
    FigureEntry(
        "kurtosis",
        "Kurtosis of the reciprocal variables",
        "Kurtosis over random states, averaged over the modes with a singular value, against the size of the hidden "
        "layer, as in the paper's figure 3 e, for both layers; ribbons are standard deviations over modes, bars "
        "standard errors of the mean. Line: fit in 1/M, with its residuals on the right; dotted: the exact average 3 "
        "- 6/(M + 2).",
    ),
    FigureEntry(
        "spectrum",
        "Singular values of trained models",
        "Distribution of singular values by training method and size of the hidden layer, replicas pooled, as in the "
        "paper's figure 3 f; ticks above mark single modes, dotted is the law of the initial weights.",
    ),
    FigureEntry(
        "gaussianity",
        "Reciprocal variables of random states",
        "Probability densities of x_i and y_i for random binary states, untrained and trained, with the normal "
        "curves of equation 51, as in the paper's figure 5; below, Kolmogorov-Smirnov distances of all modes "
        "(dashed: 1 % level).",
    ),
    FigureEntry(
        "evolution",
        "Modes during training",
        "Singular values (grey: every mode in order; dotted: edge of the random bulk; dashed: λ = 4), saddle energies, "
        "and mean ± standard deviation of u and w of the first mode for test data and equilibrium samples, against "
        "updates. Modes are followed by the overlap of their vectors.",
    ),
    FigureEntry(
        "rotational_symmetry",
        "Rotational symmetry and its breaking",
        "Jensen-Shannon divergence between the histograms of the weights before and after random rotations of their "
        "singular vectors, as in the paper's figure 4: against the size of the hidden layer with the level of "
        "untrained matrices and of shuffled entries, and along training; and the histograms of one replica. Bars are "
        "standard deviations over replicas (with one replica, the estimate's standard error).",
    ),
    FigureEntry(
        "hierarchy",
        "Hierarchy of modes",
        "Samples, the same with modes 1 and 2 turned by π, and with ten turns by π among the modes after the fifth, as "
        "in the paper's figure 6; below, what a turn by π of modes i and i + 1 changes: number of pixels, share of the "
        "largest connected patch (beside as many pixels in random places) and of the bounding box, and the number of "
        "pixels that share the change. Bars are standard errors over independent samples.",
    ),
    FigureEntry(
        "symmetry_breaking",
        "The first mode along training",
        "Coordinates u and w of the first mode against updates, as in the paper's figure 7: the saddle, the minimum μ "
        "of the constraint potential, and mean and standard deviation of test data and of equilibrium samples.",
    ),
    FigureEntry(
        "symmetry_breaking_sizes",
        "The first mode along training for other sizes",
        "As the figure before, for the other sizes of the hidden layer (the paper's figure 8).",
    ),
    FigureEntry(
        "centres",
        "Saddles, random states and data",
        "Left: distance of the test data from the saddle points in standard deviations of the data, median over all "
        "modes, for every replica (dashed: 3). Right: u of the first mode after training: saddle, centre μ of random "
        "states, and mean and standard deviation of the test data, by size of the hidden layer.",
    ),
    FigureEntry(
        "spectral_gap",
        "Gaps in the spectrum",
        "The ten largest singular values along training for every recipe (thick: the first), one replica a size; "
        "shaded: the interval from 33 to 35, where the paper found none.",
    ),
    FigureEntry(
        "landau_wells",
        "Landau free energy along training",
        "Landau free energy of the first mode (equation 55) with the other coordinates held (s² = 0) and averaged over "
        "(s² = ¼), the marginal potential about the data's activities, and the potential of mean force of equilibrium "
        "samples at four checkpoints; its minima, and the curvature of the first modes, against updates.",
    ),
    FigureEntry(
        "transitions",
        "Transitions of the first modes",
        "Dressed singular values d at the model's own activities, with 1 - 1/R (crosses) that equals d in Gaussian "
        "theory; the fluctuations R along the dressed modes in units of independent bits' with their critical size "
        "(dashed); Binder cumulants; and critical updates: predicted where d is 1, measured where R is critical. Bars "
        "are standard errors, over replicas where there are several.",
    ),
    FigureEntry(
        "alignment",
        "Modes and principal components",
        "Overlap of the first left singular vectors with the principal components of the data, and the largest "
        "singular values, against updates, for every recipe of the study. The dashed line is the threshold λ = 4.",
    ),
    FigureEntry(
        "bosons",
        "Bosons along training",
        "Frequencies of the softest bosons against updates (section 4.1, equations 40 and 44), around activities ½ and "
        "around the data's mean activities; below 0 a mode does not relax. Stability map: dressed singular values by "
        "rank, threshold in black; and the update at which each rank crosses it.",
    ),
    FigureEntry(
        "mode_potentials",
        "Effective potentials of single modes",
        "Potential along u of modes 1, 2, 3 and one of the bulk, at the first checkpoint beyond λ = 4 and at the last: "
        "harmonic (equation 39), with the others held, integrated out, or relaxed; points are -ln P of equilibrium "
        "samples with standard errors.",
    ),
    FigureEntry(
        "mode_diffusion",
        "Diffusion of one mode",
        "Density of u of a just unstable mode against time, in the harmonic potential and in the exact one (equations "
        "33 to 38); snapshots, and the lowest relaxation rates.",
    ),
    FigureEntry(
        "relaxation",
        "Do unstable modes relax?",
        "Test of the prediction of section 4.1 at several checkpoints: rates of the simulated Gaussian diffusion "
        "against theory, the same modes in the confined diffusion, and autocorrelation rates of Gibbs sampling against "
        "the mean field's. Bars are standard errors over chains.",
    ),
    FigureEntry(
        "diffused_images",
        "Diffusion that generates images",
        "Confined Langevin dynamics from random bits, decoded to pixels, at D = 1/β and at smaller D, the smallest "
        "along time; equilibrium samples below. Means and standard deviations of u by mode, and free energies.",
    ),
)
"""In the order of the report.  A new figure is one more entry here."""


def select(names: Iterable[str] | None = None) -> tuple[FigureEntry, ...]:
    """Entries by name, in the given order; all for None; a `ConfigError` where there is no such figure."""
    return by_name(FIGURES, names)
