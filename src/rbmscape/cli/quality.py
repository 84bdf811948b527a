"""``rbmscape quality RUN|MODEL``: what a model is like beside its likelihood, each finding with its cure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbmscape.cli.options import (
    BestOption,
    DeviceOption,
    Engine,
    EngineOption,
    ImageShapeOption,
    JsonOption,
    KeyOption,
    LabelsOption,
    NTestOption,
    NTrainOption,
    NVisibleOption,
    Precision,
    PrecisionOption,
    StatesOption,
    TestFractionOption,
    TestOption,
    ThresholdOption,
    UpdateOption,
    WeightsOption,
    data_options,
)
from rbmscape.cli.tables import print_table, write_json

if TYPE_CHECKING:
    from rbmscape.cli.models import OpenModel
    from rbmscape.data.dataset import Dataset

__all__ = ["quality"]


def quality(
    model: Annotated[str, typer.Argument(help="Directory of a run, or a model's .safetensors file.")],
    data: Annotated[
        str | None, typer.Option(help="Data set or file to compare with; by default what the run was trained on.")
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", help="Samples.", min=50)] = 1000,
    budget: Annotated[
        float | None, typer.Option(help="Multiply-adds until equilibrium at most, for example 1e12.", min=1.0)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all random numbers.", min=0)] = 0,
    update: UpdateOption = -1,
    best: BestOption = False,
    json_file: JsonOption = None,
    engine: EngineOption = Engine.AUTO,
    precision: PrecisionOption = Precision.AUTO,
    device: DeviceOption = "auto",
    threshold: ThresholdOption = None,
    test: TestOption = None,
    test_fraction: TestFractionOption = None,
    labels: LabelsOption = None,
    weights: WeightsOption = None,
    states: StatesOption = None,
    key: KeyOption = None,
    image_shape: ImageShapeOption = None,
    n_train: NTrainOption = None,
    n_visible: NVisibleOption = None,
    n_test: NTestOption = None,
    data_seed: Annotated[
        int | None, typer.Option(help="Of the split into training and test data.", rich_help_panel="Data")
    ] = None,
) -> None:
    """Pair and three-body statistics of samples, copies of training data, over-fitting, idle and alike hidden units.

    Estimates have errors over rows and samples.
    """
    from rbmscape.cli.costs import announce_tempering
    from rbmscape.cli.models import open_model
    from rbmscape.runs.quality import quality as judge
    from rbmscape.sampling.equilibrium import MAX_CHAINS

    loading = data_options(
        threshold=threshold, test=test, test_fraction=test_fraction, labels=labels, key=key, image_shape=image_shape,
        n_train=n_train, n_test=n_test, n_visible=n_visible, seed=data_seed, weights=weights, states=states,
    )  # fmt: skip
    opened = open_model(model, update, device, best=best)
    dataset = _data(opened, data, loading)
    judged = opened.rbm if opened.run is None else opened.run
    how: dict[str, Any] = {"engine": engine.value, "precision": precision.value}
    announce_tempering(opened.rbm, min(n, MAX_CHAINS), budget=budget, **how)
    found = judge(judged, dataset, opened.update, n, seed, budget, engine.value, precision.value, progress=True)
    if json_file is not None:
        facts = {"model": opened.name, "data": dataset.name, "data_fingerprint": dataset.fingerprint, "seed": seed}
        write_json(json_file, facts | found.record())
    fine = [] if found.concerns else [("verdict", "nothing speaks against it")]
    print_table(f"Samples of {opened.name} beside {dataset.name}", [*found.lines(), *fine])


def _data(opened: OpenModel, data: str | None, loading: dict[str, object]) -> Dataset:
    """What samples are compared with: the named data, or those of the run."""
    from rbmscape.data.load import load_dataset
    from rbmscape.errors import InputError

    if data is not None:
        return opened.ordered(load_dataset(data, **loading))  # type: ignore[arg-type]
    if loading:
        raise typer.BadParameter(f"--{next(iter(loading)).replace('_', '-')} needs --data, which it applies to")
    if opened.run is None:
        raise InputError(f"{opened.name} is a single model that knows no data; name them with --data")
    return opened.run.dataset()
