"""How good is a first try?  `TrainingConfig.recommended(data)` on ten kinds of data, beside what else could be had.

``python -m benchmarks.first_try [--data "spikes" "two wells"] [--columns now]``

Columns: the recipe that follows from the data (now), the same values for all data (fixed), the best of a small search
(the six recipes of `_search`), scikit-learn's ``BernoulliRBM`` and the package rbms, each in the time of the first at
each of three rates, of which the best is taken, independent units and a mixture of 20 products.  Mean log-likelihoods
of the test rows in nats: exact, by the ladder of the training, or by a bracket.  What is not converged is an upper
bound (≤), of forward annealing.  Rows that were measured before are kept in the JSON file, so that a column can be
measured alone; it is written after every recipe.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

import rbmscape as rs
from benchmarks.first_try_data import DATA
from benchmarks.harness import parser, save, show, start
from rbmscape.likelihood.baselines import baselines

Row = dict[str, Any]
Fit = Callable[[rs.Dataset, int, float, float], tuple[Any, int]]
"""Data, hidden units, rate, and the processor time, to a model and its passes over the data."""
RATES: Final = (0.1, 0.03, 0.01)
"""Of other packages; 0.1 and 0.01 are what scikit-learn and rbms take if nothing is said."""
EXACT_UNITS: Final = 20
CLEARLY: Final = 1.0
"""Nats below the mixture from which on an upper bound is enough to know."""


def _epochs(rows: int, batch: int, updates: int) -> int:
    """Epochs of so many updates."""
    return max(1, math.ceil(updates / max(1, rows // min(batch, rows))))


def _search(rows: int) -> dict[str, dict[str, Any]]:
    """Recipes of the search for so many rows, of 3000 updates each."""
    few, batch = min(100, max(20, rows // 10)), min(200, max(20, rows // 10))
    usual = {"n_hidden": few, "n_chains": 200, "batch_size": batch, "epochs": _epochs(rows, batch, 3000)}
    ladder = usual | {"method": "ptt", "gibbs_steps": 2}
    return {
        "pcd, rate 0.1": usual | {"learning_rate": 0.1},
        "pcd, rate 0.4, penalty 5/n": usual | {"learning_rate": 0.4, "l2": 5.0 / rows},
        "pcd, 20 units, rate 0.1": usual | {"n_hidden": 20, "learning_rate": 0.1},
        "ptt, no penalty": ladder,
        "ptt, 20 units, penalty 2.5/n": ladder | {"n_hidden": 20, "l2": 2.5 / rows},
        "ptt, penalty 2.5/n, 6000 updates": ladder | {"l2": 2.5 / rows, "epochs": _epochs(rows, batch, 6000)},
    }


def score(run: rs.Run, data: rs.Dataset, mixture: float) -> Row:
    """The mean log-likelihood of the test rows; an upper bound where it is not converged."""
    last, model = run.rows[-1], run.load()
    if run.config.method == "ptt" and last.get("converged"):
        return {"value": last["log_likelihood_test"], "stderr": last["log_partition_stderr"], "converged": True}
    if min(model.n_hidden, model.n_visible) <= EXACT_UNITS:
        return {"value": rs.log_likelihood(model, data, method="exact").value, "stderr": 0.0, "converged": True}
    upper = rs.log_likelihood(model, data, method="ais", n_chains=100, n_betas=500).value
    if upper < mixture - CLEARLY:
        return {"value": upper, "stderr": None, "converged": False}
    *earlier, model = run.models()
    found = rs.likelihood_bracket(
        model, data, models=earlier or None, n_chains=100, n_betas=500, max_betas=1000, budget=2e10, seed=1
    )
    best = found.best if found.converged else found.upper
    return {"value": best.value, "stderr": best.stderr, "converged": found.converged}


def trained(data: rs.Dataset, config: rs.TrainingConfig, mixture: float) -> Row:
    began = time.process_time()
    try:
        run = rs.train(data, config, progress=False)
    except rs.RbmscapeError as error:
        return {"value": None, "stderr": None, "converged": False, "failed": str(error)}
    seconds = time.process_time() - began
    given = config.model_dump(mode="json", exclude_defaults=True)
    return score(run, data, mixture) | {"seconds": seconds, "n_hidden": config.n_hidden, "recipe": given}


def searched(data: rs.Dataset, mixture: float, known: Row, keep: Callable[[Row], None]) -> Row:
    """All recipes of the search that are not known yet, each of which is kept, and the best of them."""
    tried = dict(known.get("all", {}))
    for name, one in _search(len(data.train)).items():
        tried[name] = tried.get(name) or trained(data, rs.TrainingConfig(**one), mixture)
        sure = {name: one for name, one in tried.items() if one["converged"]}
        best = max(sure, key=lambda one: sure[one]["value"], default=None)
        found = (sure[best] if best else {"value": None, "stderr": None, "converged": False}) | {"best": best}
        keep(found | {"all": tried})
    return found | {"all": tried}


def theirs(data: rs.Dataset, seconds: float, n_hidden: int, mixture: float, fit: Fit) -> Row:
    """A model of another package, for the processor time of ours at each of the rates."""
    found = []
    for rate in RATES:
        model, passes = fit(data, n_hidden, rate, seconds)
        found.append(_judged(rs.read_model(model), data, mixture) | {"rate": rate, "passes": passes})
    sure = [one for one in found if one["converged"]]
    return max(sure or found, key=lambda one: one["value"]) | {"all": found}


def by_sklearn(data: rs.Dataset, n_hidden: int, rate: float, seconds: float) -> tuple[Any, int]:
    """scikit-learn's estimator, and its passes over the data in minibatches of ten."""
    from sklearn.neural_network import BernoulliRBM

    estimator, passes, order = BernoulliRBM(n_hidden, learning_rate=rate, random_state=0), 0, _order(data)
    began = time.process_time()
    while time.process_time() - began < seconds:
        for batch in np.array_split(next(order), math.ceil(len(data.train) / estimator.batch_size)):
            estimator.partial_fit(data.train[batch].astype(np.float32))
        passes += 1
    return estimator, passes


def by_rbms(data: rs.Dataset, n_hidden: int, rate: float, seconds: float) -> tuple[Any, int]:
    """A model of rbms by its own update, with ten Gibbs steps, and the passes over the data."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.dataset.dataset_class import RBMDataset
    from rbms.training.pcd import fit_batch_pcd

    torch.manual_seed(0)
    rows, ones, batch = data.train.astype(np.float32), np.ones(len(data.train)), max(20, len(data.train) // 10)
    known = RBMDataset(rows, np.zeros(len(rows)), ones, np.arange(len(rows)), data.name, is_binary=True, device="cpu")
    model = BBRBM.init_parameters(n_hidden, known, torch.device("cpu"), torch.float32)
    model.init_grad()
    optimizer, chains = torch.optim.SGD(model.parameters(), lr=rate, maximize=True), model.init_chains(max(200, batch))
    order, passes, began = _order(data), 0, time.process_time()
    with torch.no_grad():
        while time.process_time() - began < seconds:
            for picks in np.array_split(next(order), math.ceil(len(rows) / batch)):
                optimizer.zero_grad(set_to_none=False)
                part = known.data[picks], known.weights[picks]
                chains, _ = fit_batch_pcd(part, chains, model, gibbs_steps=10, beta=1.0)
                optimizer.step()
            passes += 1
    return model, passes


def _order(data: rs.Dataset) -> Iterator[NDArray[np.int64]]:
    """The rows in another order for every pass."""
    generator = np.random.default_rng(0)
    while True:
        yield generator.permutation(len(data.train))


def _judged(model: rs.RBM, data: rs.Dataset, mixture: float) -> Row:
    upper = rs.log_likelihood(model, data, n_chains=100, n_betas=500)
    if min(model.n_hidden, model.n_visible) <= EXACT_UNITS or upper.value < mixture - CLEARLY:
        return {"value": upper.value, "stderr": upper.stderr, "converged": upper.method == "exact"}
    found = rs.likelihood_bracket(model, data, n_chains=100, n_betas=500, max_betas=1000, budget=2e10, seed=1)
    best = found.best if found.converged else found.upper
    return {"value": best.value, "stderr": best.stderr, "converged": found.converged}


def column(name: str, data: rs.Dataset, known: dict[str, Any], keep: Callable[[Row], None]) -> Row:
    """One cell of the table; `keep` takes what is there of it while it is made."""
    mixture = known["mixture"]
    made: dict[str, Callable[[], Row]] = {
        "now": lambda: trained(data, rs.TrainingConfig.recommended(data), mixture),
        "fixed": lambda: trained(data, rs.TrainingConfig.recommended(), mixture),
        "search": lambda: searched(data, mixture, known.get("search", {}), keep),
        "scikit-learn": lambda: theirs(data, known["now"]["seconds"], known["now"]["n_hidden"], mixture, by_sklearn),
        "rbms": lambda: theirs(data, known["now"]["seconds"], known["now"]["n_hidden"], mixture, by_rbms),
    }
    return made[name]()


def shown(one: Row | None) -> str:
    if one is None or one["value"] is None:
        return "–"
    if not one["converged"]:
        return f"≤ {one['value']:.1f}"
    return str(rs.Estimate(one["value"], one["stderr"])) if one["stderr"] else f"{one['value']:.2f}"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    columns = ("now", "fixed", "search", "scikit-learn", "rbms")
    options.add_argument("--columns", nargs="+", choices=columns, default=list(columns))
    chosen = options.parse_args()
    where, path = start(chosen.threads), chosen.out / "first_try.json"
    found = json.loads(path.read_text(encoding="utf-8"))["data"] if path.is_file() else {}
    for name in chosen.data:
        data, truth = DATA[name]()
        row = found.setdefault(name, {})
        if "mixture" not in row:
            base = baselines(data)
            row |= {"rows": len(data.train), "units": data.n_visible, "truth": truth if math.isfinite(truth) else None}
            row |= {"independent": base.independent.value, "mixture": base.mixture.value}
            row["row_stderr"] = base.mixture.stderr

        def keep(one: Row, row: Row = row, kind: str = "search") -> None:
            row[kind] = one
            save("first_try", chosen.out, where, {"data": found})

        for kind in chosen.columns:
            keep(column(kind, data, row, keep), row, kind)
            print(name, kind, json.dumps(row[kind]), flush=True)
    head = ["data", "truth", *columns, "independent units", "20 products"]
    rows = [
        [name, row["truth"] or "", *(shown(row.get(kind)) for kind in columns), row["independent"], row["mixture"]]
        for name, row in found.items()
    ]
    show("Test log-likelihood (nats)", head, rows)


if __name__ == "__main__":
    main()
