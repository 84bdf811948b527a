"""What a figure's Dataset and caption say about the equilibrium samples behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.runs.samples import RunSamples
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["sampled", "shared_facts", "verdict"]


def shared_facts(samples: Sequence[Samples]) -> dict[str, str | float]:
    """Attributes for a Dataset that shows samples of several models: how they were made, and the fewest columns."""
    if not samples:
        return {}
    return {
        "samples_method": str(samples[0].facts["samples_method"]),
        "samples_chains": min(int(one.facts["samples_chains"]) for one in samples),
        "samples_seed": int(samples[0].facts["samples_seed"]),
    }


def sampled(dataset: xr.Dataset, samples: Samples | RunSamples) -> xr.Dataset:
    """The Dataset with the facts on its samples among its attributes, after those that it has."""
    return dataset.assign_attrs(dict(samples.facts))


def verdict(dataset: xr.Dataset) -> str:
    """One sentence on the samples behind a Dataset, from its attributes."""
    attrs = dataset.attrs
    how = f"Samples by {attrs['samples_method']} ({int(attrs['samples_chains'])} independent chains)"
    if "samples_equilibrated" in attrs:
        words = attrs["samples_objections"] if not attrs["samples_equilibrated"] else ""
    else:
        fine = np.asarray(dataset["samples_equilibrated"].values, dtype=float)
        fine = fine[np.isfinite(fine)]
        words = "" if fine.all() else f"at {int((fine == 0).sum())} of {fine.size} models"
    return f"{how}: {f'not shown to be in equilibrium, {words}' if words else 'nothing speaks against equilibrium'}."
