"""How the training goes: metrics, the log-likelihood with its error and verdict, and the weights as images.

A hidden unit is *dead* where it is on, or off, with a mean probability of at least 0.999 over the data; two are
*duplicates* where the cosine of their weights is at least 0.95.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.explorer.encode import Sheet
from rbmscape.training.metrics import RARE

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject
    from rbmscape.model.rbm import RBM

__all__ = ["show"]

MOST_UNITS = 96
ALIKE = 0.95
N_DATA = 500
LIKELIHOOD = {
    "log_likelihood": "nats",
    "log_partition_stderr": "nats",
    "log_likelihood_row_stderr": "nats",
    "pseudo_log_likelihood": "nats",
    "reconstruction_error": "1",
    "free_energy_train": "k_B T",
    "free_energy_test": "k_B T",
    "free_energy_chains": "k_B T",
    "constant_hidden_units": "units",
}


def show(subject: Subject, query: Query) -> Sheet:
    """Metrics over ``at`` (their updates); ``weight`` (shown, unit), ``dead`` and ``duplicate_of`` over shown."""
    update = subject.resolve(query.whole("update", -1, -1, 2**60))
    rows = [] if subject.run is None else subject.run.rows
    variables: dict[str, Any] = {
        name: ("at", [_number(row.get(name)) for row in rows], {"units": units})
        for name, units in LIKELIHOOD.items()
        if any(_number(row.get(name)) == _number(row.get(name)) for row in rows)
    }
    rbm = subject.load(update)
    variables |= _weights(rbm, subject)
    attrs = _verdict(rows, update) | {"update": update, "n_hidden": rbm.n_hidden}
    return Sheet(variables, {"at": ("at", [float(row["update"]) for row in rows])}, attrs)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _verdict(rows: list[dict[str, Any]], update: int) -> dict[str, Any]:
    """What speaks against the numbers of the checkpoint, in the words of the training."""
    row = next((row for row in rows if row["update"] == update), {})
    known = row.get("log_likelihood") is not None
    objection = row.get("log_likelihood_objection")
    words = "measured while training; nothing speaks against it" if objection is None else str(objection)
    return {
        "likelihood_verdict": words
        if known
        else "not measured; rbmscape evaluate, or --online-likelihood, measures it",
        "likelihood_ok": int(known and objection is None),
        "objection": row.get("objection") or "",
        "epoch": _number(row.get("epoch")),
    }


def _weights(rbm: RBM, subject: Subject) -> dict[str, Any]:
    """Columns of the weights, those of the largest norm first, and what is wrong with them."""
    weights = rbm.weights.detach().to(torch.float32).cpu()
    norms = weights.norm(dim=0)
    shown = torch.argsort(norms, descending=True, stable=True)[:MOST_UNITS]
    chosen = weights[:, shown]
    unit = chosen / norms[shown].clamp_min(1e-12)
    alike = torch.triu(unit.T @ unit, 1) >= ALIKE
    first = torch.where(alike.any(0), alike.int().argmax(0), torch.full((len(shown),), -1))
    variables: dict[str, Any] = {
        "weight": (("shown", "unit"), chosen.T.numpy(), {"units": "k_B T"}),
        "hidden_unit": ("shown", shown.numpy().astype(float), {"units": "1"}),
        "duplicate_of": ("shown", np.where(first >= 0, shown[first.clamp_min(0)], -1).astype(float), {"units": "1"}),
    }
    points = subject.data().points
    if points is not None:
        mean = rbm.hidden_probability(torch.as_tensor(points.v[:N_DATA]).to(rbm.device)).mean(0).cpu()[shown]
        dead = ((mean < RARE) | (mean > 1 - RARE)).numpy()
        variables |= {"activity": ("shown", mean.numpy(), {"units": "1"}), "dead": ("shown", dead)}
    return variables
