"""How good is a first try?  `TrainingConfig.recommended(data)` on ten kinds of data, beside what else could be had.

``python -m benchmarks.first_try [--data "spikes" "two wells"] [--columns now]``

Columns: the recipe that follows from the data (now), the same values for all data (fixed), the best of a small search
(three recipes of `_search`), scikit-learn's ``BernoulliRBM`` in the time of the first (the best of three
rates), independent units and a mixture of 20 products.  Mean log-likelihoods of the test rows in nats: exact, by the
ladder of the training, or by a bracket.  What is not converged is an upper bound (≤), of forward annealing.  Rows that
were measured before are kept in the JSON file, so that a column can be measured alone.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, Final

import rbmscape as rs
from benchmarks.first_try_data import DATA
from benchmarks.harness import parser, save, show, start
from rbmscape.likelihood.baselines import Baselines, baselines

Row = dict[str, Any]
SKLEARN_RATES: Final = (0.1, 0.03, 0.01)
EXACT_UNITS: Final = 20
CLEARLY: Final = 1.0
"""Nats below the mixture from which on an upper bound is enough to know."""


def _epochs(rows: int, batch: int, updates: int) -> int:
    """Epochs of so many updates."""
    return max(1, math.ceil(updates / max(1, rows // min(batch, rows))))


def _search(rows: int) -> dict[str, dict[str, Any]]:
    """Recipes of the search for so many rows, of 800 updates each."""
    few, batch = {"n_hidden": min(100, max(10, rows // 10)), "n_chains": 200}, min(200, max(20, rows // 10))
    small = few | {"batch_size": batch, "epochs": _epochs(rows, batch, 800)}
    return {
        "rate 0.1": small | {"learning_rate": 0.1, "gibbs_steps": 5},
        "rate 0.4, penalty 5/n": small | {"learning_rate": 0.4, "l2": 5.0 / rows, "gibbs_steps": 5},
        "in equilibrium": small | {"method": "ptt", "gibbs_steps": 2},
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


def searched(data: rs.Dataset, mixture: float) -> Row:
    tried = {name: trained(data, rs.TrainingConfig(**one), mixture) for name, one in _search(len(data.train)).items()}
    known = {name: one for name, one in tried.items() if one["converged"]}
    name = max(known, key=lambda one: known[one]["value"], default=None)
    return (known[name] if name else {"value": None, "stderr": None, "converged": False}) | {"best": name, "all": tried}


def theirs(data: rs.Dataset, seconds: float, n_hidden: int, mixture: float) -> Row:
    """scikit-learn's estimator, for the processor time of ours at each of its rates."""
    from sklearn.neural_network import BernoulliRBM

    found = []
    for rate in SKLEARN_RATES:
        estimator, began, passes = BernoulliRBM(n_hidden, learning_rate=rate, random_state=0), time.process_time(), 0
        while time.process_time() - began < seconds:
            estimator.partial_fit(data.train.astype("float32"))
            passes += 1
        found.append(_judged(rs.read_model(estimator), data, mixture) | {"rate": rate, "passes": passes})
    return max(found, key=lambda one: one["value"])


def _judged(model: rs.RBM, data: rs.Dataset, mixture: float) -> Row:
    upper = rs.log_likelihood(model, data, n_chains=100, n_betas=500)
    if min(model.n_hidden, model.n_visible) <= EXACT_UNITS or upper.value < mixture - CLEARLY:
        return {"value": upper.value, "stderr": upper.stderr, "converged": upper.method == "exact"}
    found = rs.likelihood_bracket(model, data, n_chains=100, n_betas=500, max_betas=1000, budget=2e10, seed=1)
    best = found.best if found.converged else found.upper
    return {"value": best.value, "stderr": best.stderr, "converged": found.converged}


def column(name: str, data: rs.Dataset, known: dict[str, Row], base: Baselines) -> Row:
    mixture = base.mixture.value
    made: dict[str, Callable[[], Row]] = {
        "now": lambda: trained(data, rs.TrainingConfig.recommended(data), mixture),
        "fixed": lambda: trained(data, rs.TrainingConfig.recommended(), mixture),
        "search": lambda: searched(data, mixture),
        "scikit-learn": lambda: theirs(data, known["now"]["seconds"], known["now"]["n_hidden"], mixture),
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
    columns = ("now", "fixed", "search", "scikit-learn")
    options.add_argument("--columns", nargs="+", choices=columns, default=list(columns))
    chosen = options.parse_args()
    where, path = start(chosen.threads), chosen.out / "first_try.json"
    found = json.loads(path.read_text(encoding="utf-8"))["data"] if path.is_file() else {}
    for name in chosen.data:
        data, truth = DATA[name]()
        base = baselines(data)
        row = found.setdefault(name, {})
        row |= {"rows": len(data.train), "units": data.n_visible, "truth": truth if math.isfinite(truth) else None}
        row |= {"independent": base.independent.value, "mixture": base.mixture.value}
        row["row_stderr"] = base.mixture.stderr
        for kind in chosen.columns:
            row[kind] = column(kind, data, row, base)
            print(name, kind, json.dumps(row[kind]), flush=True)
            save("first_try", chosen.out, where, {"data": found})
    head = ["data", "truth", *columns, "independent units", "20 products"]
    rows = [
        [name, row["truth"] or "", *(shown(row.get(kind)) for kind in columns), row["independent"], row["mixture"]]
        for name, row in found.items()
    ]
    show("Test log-likelihood (nats)", head, rows)


if __name__ == "__main__":
    main()
