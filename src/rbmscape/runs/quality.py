r"""What a trained model is like, beside its likelihood: statistics of its samples, copies of data, idle hidden units.

Moments: for random pairs and triples of units the connected moments ``⟨(v_i - m_i)(v_j - m_j)⟩`` and
``⟨(v_i - m_i)(v_j - m_j)(v_k - m_k)⟩`` of samples are compared with those of data that the model has not seen, by their
correlation over the pairs or triples.  Noise of few rows lowers it, so that the same correlation between training data,
as many as there are samples, and those data stands beside it.

Copies: the share of rows whose nearest neighbour among their own kind is nearer than among the other kind, averaged
over both kinds, is ½ where both have the same distribution (Yale et al., Neurocomputing 416, 244 (2020)).  Samples that
are nearer to training data than to test data are copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import in_order
from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import InputError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.progress import Progress
from rbmscape.rng import Stream
from rbmscape.runs.run import Run
from rbmscape.sampling.equilibrium import equilibrium_samples
from rbmscape.sampling.kept import KeptLadder
from rbmscape.sampling.verdict import EquilibriumVerdict
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["Quality", "quality"]

FloatArray = NDArray[np.float64]
_MOMENTS: Final = ("pairs", "pairs_of_data", "triples", "triples_of_data")
_SETS: Final = 1000
_RESAMPLES: Final = 30
_ROWS: Final = 1000
_ALWAYS: Final = 1e-3
_ALIKE: Final = 0.99
_SIGNIFICANT: Final = 3.0
_APART: Final = 0.1
_CLEAR: Final = 5.0
"""Standard errors of correlations; where noise outweighs the moments, those of the bootstrap are √2 too small."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Quality(OneLine):
    """Findings of `quality`; estimates carry errors over rows and samples.

    Attributes
    ----------
    pairs, triples : correlation of the moments of samples with those of held-out data
    pairs_of_data, triples_of_data : the same of training data, as many rows as there are samples
    nearest_train, nearest_test : shares of nearest neighbours of the own kind, of samples and training data, and of
        samples and test data; ½ where nothing tells them apart, below ½ where samples are copies; the second is NaN
        without test data
    likelihood_gap : mean log-likelihood of training data minus that of test data, nats; ln Z drops out.  NaN without
        test data
    constant_units : hidden units that are off or on, with a mean probability of at least 0.999, for the data
    alike_units : hidden units whose probability follows that of an earlier unit, or its contrary, with a correlation of
        at least 0.99
    n_hidden : hidden units of the model
    samples : verdict on the equilibrium of the samples
    """

    pairs: Estimate
    triples: Estimate
    pairs_of_data: Estimate
    triples_of_data: Estimate
    nearest_train: Estimate
    nearest_test: Estimate
    likelihood_gap: Estimate
    constant_units: tuple[int, ...]
    alike_units: tuple[int, ...]
    n_hidden: int
    samples: EquilibriumVerdict

    @property
    def concerns(self) -> tuple[str, ...]:
        """What speaks against the model, each in a sentence with its remedy; empty if nothing does."""
        return tuple(words for words in (*self._about_samples(), *self._about_units()) if words)

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a table, what speaks against the model last."""
        return [
            ("pair statistics", _beside(self.pairs, self.pairs_of_data)),
            ("three-body", _beside(self.triples, self.triples_of_data)),
            ("nearest neighbours", f"{_known(self.nearest_train)} of the own kind among samples and training data"),
            ("", f"{_known(self.nearest_test)} among samples and test data; 0.5 where nothing tells them apart"),
            ("training over test", f"{_known(self.likelihood_gap)} nats a row"),
            ("hidden units", f"{self.n_hidden}, {len(self.constant_units)} constant, {len(self.alike_units)} alike"),
            ("samples", str(self.samples)),
            *(("caution", concern) for concern in self.concerns),
        ]

    def record(self) -> dict[str, Any]:
        """All of it in JSON types; what is not known is null."""
        estimates = {
            name: {
                part: number if math.isfinite(number := getattr(one, part)) else None for part in ("value", "stderr")
            }
            for name in (*_MOMENTS, "nearest_train", "nearest_test", "likelihood_gap")
            for one in [getattr(self, name)]
        }
        return estimates | {
            "constant_units": list(self.constant_units),
            "alike_units": list(self.alike_units),
            "n_hidden": self.n_hidden,
            "converged": self.samples.converged,
            "verdict": str(self.samples),
            "concerns": list(self.concerns),
        }

    def _about_samples(self) -> tuple[str, ...]:
        found = []
        for name, mine, wanted in (
            ("pair", self.pairs, self.pairs_of_data),
            ("three-body", self.triples, self.triples_of_data),
        ):
            error = _CLEAR * math.hypot(mine.stderr, wanted.stderr)
            if wanted.value > _CLEAR * wanted.stderr and wanted.value - mine.value > error:
                found.append(
                    f"the {name} statistics of samples follow those of held-out data with a correlation of {mine}, "
                    f"those of training data with {wanted}: train longer, or with more hidden units"
                )
        apart = self.nearest_train.value - 0.5
        if apart > max(_APART, _CLEAR * self.nearest_train.stderr):
            found.append(
                f"samples can be told from training data ({self.nearest_train} of nearest neighbours are of the own "
                "kind, 0.5 would be perfect): train longer, or with more hidden units"
            )
        copied = self.nearest_test.value - self.nearest_train.value
        if copied > _SIGNIFICANT * math.hypot(self.nearest_test.stderr, self.nearest_train.stderr):
            found.append(
                f"samples are nearer to training data than to test data (nearest neighbours of the own kind: "
                f"{self.nearest_train} and {self.nearest_test}): the model memorises; stop earlier, take fewer hidden "
                "units or a penalty"
            )
        if self.likelihood_gap.value > max(1.0, _SIGNIFICANT * self.likelihood_gap.stderr):
            found.append(
                f"training data are likelier than test data by {self.likelihood_gap} nats a row: stop at run.best(), "
                "take fewer hidden units or a penalty"
            )
        if not self.samples.converged:
            found.append(f"samples are not known to be in equilibrium ({self.samples.objections[0]}): read with care")
        return tuple(found)

    def _about_units(self) -> tuple[str, ...]:
        constant = alike = ""
        if 4 * len(self.constant_units) > self.n_hidden:
            constant = (
                f"{len(self.constant_units)} of {self.n_hidden} hidden units have one value for all data: take fewer "
                "units or a smaller learning rate"
            )
        if 4 * len(self.alike_units) > self.n_hidden:
            alike = (
                f"{len(self.alike_units)} of {self.n_hidden} hidden units follow another one: train longer if the "
                "likelihood still rises, else take fewer units"
            )
        return constant, alike

    def _headline(self) -> str:
        return f"pairs {self.pairs}, triples {self.triples}; {'; '.join(self.concerns) or 'nothing speaks against it'}"


def _known(estimate: Estimate) -> str:
    return "unknown" if math.isnan(estimate.value) else str(estimate)


def _beside(samples: Estimate, data: Estimate) -> str:
    return f"correlation with held-out data {_known(samples)}, of training data {_known(data)}"


@checked
def quality(
    run: Run | RBM,
    data: Dataset | Arrays | None = None,
    update: int = -1,
    n_samples: int = 1000,
    seed: int = 0,
    budget: float | None = None,
    engine: str = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> Quality:
    """Compare samples of a model with data, and look at its hidden units.

    Parameters
    ----------
    run : a run, or a model, which needs data
    data : what it was trained on, a `Dataset` with test data where there are any, or rows; a run's own by default
    update : checkpoint of a run
    n_samples : equilibrium samples, at least 50; as many rows of the data are compared with them
    seed : of everything random
    budget, engine, precision : of the samples, see `rbmscape.equilibrium_samples`
    progress : see `rbmscape.progress`

    Raises
    ------
    InputError : a model without data, data of another width, or fewer than 50 samples
    """
    check_count("n_samples", n_samples, 50)
    rbm = run.load(update) if isinstance(run, Run) else one_model(run, "quality")
    models: RBM | KeptLadder | list[RBM] = rbm
    if isinstance(run, Run):
        data, models = run.dataset() if data is None else data, run.path(update)
    dataset = _as_dataset(data, rbm)
    drawn = equilibrium_samples(
        models, n_samples, seed, budget=budget, engine=engine, precision=precision, progress=progress
    )
    return _compare(rbm, dataset, drawn.v.reshape(-1, rbm.n_visible).cpu(), drawn.verdict, Stream(seed, "quality"))


def _as_dataset(data: Any, rbm: RBM) -> Dataset:
    """The data set, or one of rows alone, with its columns in the order of the model's units."""
    from rbmscape.data.load import load_dataset

    if data is None:
        raise InputError("quality needs the data that a model was trained on, found None; pass data=dataset")
    found = data if hasattr(data, "train") else load_dataset(data, test_fraction=0)
    if found.n_visible != rbm.n_visible:
        raise InputError(
            f"quality needs data of {rbm.n_visible} columns for this model, found {found}; pass data=dataset"
        )
    ordered: Dataset = in_order(found, rbm.columns, found.name)
    return ordered.complete("quality")


def _compare(rbm: RBM, data: Dataset, samples: Tensor, verdict: EquilibriumVerdict, stream: Stream) -> Quality:
    generator = stream.numpy()
    train, test = (_some(rows, len(samples), generator) for rows in (data.train, data.test))
    held_out = test if len(test) else train
    drawn = samples.numpy()
    moments: dict[str, Estimate] = {}
    for order, name in ((2, "pairs"), (3, "triples")):
        units = _unit_sets(rbm.n_visible, order, generator)
        moments[name] = _correlation(drawn, held_out, units, generator)
        moments[f"{name}_of_data"] = _correlation(train, held_out, units, generator)
    none = Estimate(math.nan, math.nan, 0.0)
    scores = [rbm.free_energy(rows).double().cpu() for rows in (train, test)]
    constant, alike = _idle_units(rbm.hidden_probability(train).double().cpu().numpy())
    return Quality(
        **moments,
        nearest_train=_own_neighbours(drawn, train),
        nearest_test=_own_neighbours(drawn, test) if len(test) > 1 else none,
        likelihood_gap=_difference(-scores[0], -scores[1]) if len(test) > 1 else none,
        constant_units=constant,
        alike_units=alike,
        n_hidden=rbm.n_hidden,
        samples=verdict,
    )


def _some(rows: Any, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """At most so many of the rows, written out."""
    picks = generator.permutation(len(rows))[: min(count, _ROWS)]
    return np.asarray(rows[np.sort(picks)])


def _unit_sets(units: int, order: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(n, order) random sets of different units; fewer axes where there are fewer units."""
    order = min(order, units)
    return np.array([generator.choice(units, order, replace=False) for _ in range(_SETS)])


def _moments(rows: FloatArray, units: NDArray[np.int64]) -> FloatArray:
    deviations = rows - rows.mean(0)
    product = deviations[:, units[:, 0]]
    for place in range(1, units.shape[1]):
        product = product * deviations[:, units[:, place]]
    return np.asarray(product.mean(0))


def _correlation(
    first: NDArray[Any], second: NDArray[Any], units: NDArray[np.int64], generator: np.random.Generator
) -> Estimate:
    """Pearson's correlation of both sets of moments; its error by the bootstrap over rows of the first.

    The rows of the second are the same for all that is compared with them.
    """
    one, wanted = first.astype(np.float64), _moments(second.astype(np.float64), units)

    def value(rows: FloatArray) -> float:
        found = _moments(rows, units)
        spread = float(found.std() * wanted.std())
        return float(np.mean((found - found.mean()) * (wanted - wanted.mean()))) / spread if spread else math.nan

    again = [value(one[generator.integers(0, len(one), len(one))]) for _ in range(_RESAMPLES)]
    return Estimate(value(one), float(np.std(again, ddof=1)), float(len(one)))


def _own_neighbours(first: NDArray[Any], second: NDArray[Any]) -> Estimate:
    """Share of rows whose nearest other row of their own kind is nearer than the nearest of the other kind."""
    count = min(len(first), len(second))
    one, other = (torch.from_numpy(rows[:count].astype(np.float32)) for rows in (first, second))
    across = torch.cdist(one, other, p=1.0)
    shares = []
    for rows, between in ((one, across), (other, across.T)):
        within = torch.cdist(rows, rows, p=1.0).fill_diagonal_(math.inf)
        own, foreign = within.min(1).values, between.min(1).values
        shares.append((own < foreign).double() + 0.5 * (own == foreign).double())
    share = float(torch.cat(shares).mean())
    return Estimate(share, math.sqrt(max(share * (1.0 - share), 0.25 / count) / count), float(count))


def _difference(first: Tensor, second: Tensor) -> Estimate:
    """Difference of two means with its error."""
    variance = sum(float(values.var()) / len(values) for values in (first, second))
    return Estimate(float(first.mean() - second.mean()), math.sqrt(variance), float(min(len(first), len(second))))


def _idle_units(means: FloatArray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices of hidden units that are constant, and of the others that follow an earlier one, over (n, M) means."""
    average = means.mean(0)
    is_constant = (average < _ALWAYS) | (average > 1.0 - _ALWAYS)
    deviations = means - average
    norms = np.linalg.norm(deviations, axis=0)
    scaled = deviations / np.where(norms > 0, norms, 1.0)
    alike = np.triu(np.abs(scaled.T @ scaled) > _ALIKE, k=1)
    alike[is_constant] = False
    follows = alike.any(0) & ~is_constant
    return tuple(np.flatnonzero(is_constant).tolist()), tuple(np.flatnonzero(follows).tolist())
