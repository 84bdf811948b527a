"""``rbmscape describe DATA``: what deserves a second look in data before training, each concern with its cure."""

from __future__ import annotations

from typing import Annotated

import typer

from rbmscape.cli.options import (
    DigitsOption,
    ImageShapeOption,
    JsonOption,
    KeyOption,
    LabelsOption,
    NTestOption,
    NTrainOption,
    NVisibleOption,
    StatesOption,
    TestFractionOption,
    TestOption,
    ThresholdOption,
    WeightsOption,
    data_options,
)
from rbmscape.cli.tables import print_table, write_json

__all__ = ["describe"]


def describe(
    data: Annotated[
        str,
        typer.Argument(help="mnist, bars-and-stripes, planted, ising, or a .npy, .npz, .csv, .parquet or .h5 file."),
    ],
    json_file: JsonOption = None,
    threshold: ThresholdOption = None,
    test: TestOption = None,
    test_fraction: TestFractionOption = None,
    labels: LabelsOption = None,
    weights: WeightsOption = None,
    states: StatesOption = None,
    key: KeyOption = None,
    image_shape: ImageShapeOption = None,
    digits: DigitsOption = None,
    n_train: NTrainOption = None,
    n_visible: NVisibleOption = None,
    n_test: NTestOption = None,
    data_seed: Annotated[
        int | None, typer.Option(help="Of the split into training and test data.", rich_help_panel="Data")
    ] = None,
) -> None:
    """Columns that never change, repeat or number the rows, gaps, rows that repeat, test rows that training has seen.

    All counts are exact. Missing entries are counted, not refused.
    """
    from rbmscape.cli.costs import announce_description
    from rbmscape.data.describe import describe as describe_data
    from rbmscape.data.load import is_file, load_dataset

    loading = data_options(
        threshold=threshold, test=test, test_fraction=test_fraction, labels=labels, key=key, image_shape=image_shape,
        digits=digits, n_train=n_train, n_test=n_test, n_visible=n_visible, seed=data_seed, weights=weights,
        states=states, missing="marginalize" if is_file(data) else None,
    )  # fmt: skip
    dataset = load_dataset(data, **loading)
    announce_description(dataset)
    found = describe_data(dataset)
    if json_file is not None:
        write_json(json_file, found.record())
    fine = [] if found.concerns else [("verdict", "nothing to look at twice")]
    print_table(f"What {found.name} is like", [*found.lines(), *fine])
