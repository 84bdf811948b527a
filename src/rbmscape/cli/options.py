"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from rbmscape.kernels.select import ENGINES, PRECISIONS

__all__ = [
    "BestOption",
    "BetaOption",
    "DeviceOption",
    "DigitsOption",
    "Engine",
    "EngineOption",
    "ImageShapeOption",
    "JsonOption",
    "KeyOption",
    "LabelsOption",
    "MissingOption",
    "NTestOption",
    "NTrainOption",
    "NVisibleOption",
    "OverwriteOption",
    "Precision",
    "PrecisionOption",
    "StatesOption",
    "TestFractionOption",
    "TestOption",
    "ThresholdOption",
    "UpdateOption",
    "WeightsOption",
    "data_options",
    "parse_image_shape",
    "parse_list",
]

Value = TypeVar("Value")


if TYPE_CHECKING:

    class Engine(StrEnum):
        """What samples; the others are in `rbmscape.kernels.select.REGISTRY`."""

        AUTO = "auto"

    class Precision(StrEnum):
        """Of the sampling's matrix products; the others are in `rbmscape.kernels.select.PRECISIONS`."""

        AUTO = "auto"

else:
    Engine = StrEnum("Engine", {name.upper(): name for name in ENGINES})
    Precision = StrEnum("Precision", {name.upper(): name for name in PRECISIONS})


def parse_image_shape(text: str) -> tuple[int, int]:
    """Height and width from ``28x28``."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise typer.BadParameter(f"{text!r} is no image shape; write HEIGHTxWIDTH, for example 28x28")
    return int(parts[0]), int(parts[1])


def parse_list(text: str, kind: Callable[[str], Value], example: str) -> tuple[Value, ...]:
    """Values separated by commas."""
    try:
        return tuple(kind(part.strip()) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no list; write values separated by commas, for example {example}"
        ) from None


def _label(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() else text


def data_options(**options: Any) -> dict[str, Any]:
    """Keyword arguments of `rbmscape.load_dataset` from options as they were typed; absent ones are left out."""
    given = {name: value for name, value in options.items() if value is not None}
    if "image_shape" in given:
        given["image_shape"] = parse_image_shape(given["image_shape"])
    if "digits" in given:
        given["digits"] = parse_list(given["digits"], _label, "0,1")
    return given


_DATA = "Data"
_SAMPLING = "Sampling"

ThresholdOption = Annotated[
    float | None, typer.Option(help="Values from here on become 1, the others 0.", rich_help_panel=_DATA)
]
TestOption = Annotated[
    str | None, typer.Option("--test", help="The test data are in this file.", metavar="FILE", rich_help_panel=_DATA)
]
TestFractionOption = Annotated[
    float | None,
    typer.Option(help="This fraction of a file's rows becomes test data; by default 0.2.", rich_help_panel=_DATA),
]
LabelsOption = Annotated[
    str | None, typer.Option(help="The labels are in this column, or under this key.", rich_help_panel=_DATA)
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="How often each row counts is in this column, or under this key; duplicates counts equal rows.",
        metavar="COLUMN",
        rich_help_panel=_DATA,
    ),
]
StatesOption = Annotated[
    Literal["bits", "spins"] | None, typer.Option(help="The data are 0 and 1, or -1 and 1.", rich_help_panel=_DATA)
]
MissingOption = Annotated[
    Literal["refuse", "marginalize"] | None,
    typer.Option(help="Missing entries are refused, or training and likelihoods sum over them.", rich_help_panel=_DATA),
]
KeyOption = Annotated[
    str | None, typer.Option(help="The data are this array inside an .npz or .h5 file.", rich_help_panel=_DATA)
]
ImageShapeOption = Annotated[
    str | None,
    typer.Option(help="A sample is an image of this HEIGHTxWIDTH, for example 28x28.", rich_help_panel=_DATA),
]
DigitsOption = Annotated[
    str | None, typer.Option(help="Only samples with these labels are kept, for example 0,1.", rich_help_panel=_DATA)
]
NTrainOption = Annotated[
    int | None, typer.Option(help="Only so many training samples are used.", min=1, rich_help_panel=_DATA)
]
NTestOption = Annotated[
    int | None, typer.Option(help="Only so many test samples are used.", min=0, rich_help_panel=_DATA)
]
NVisibleOption = Annotated[
    int | None,
    typer.Option(
        help="The .npy file holds bits packed eight a byte, of so many units a row.", min=1, rich_help_panel=_DATA
    ),
]
EngineOption = Annotated[
    Engine,
    typer.Option(help="This engine samples; auto takes the fastest that the machine has.", rich_help_panel=_SAMPLING),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="The matrix products of the sampling have this precision; auto takes the fastest.",
        rich_help_panel=_SAMPLING,
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="The model is computed here: auto, cpu, cuda or cuda:1.", rich_help_panel=_SAMPLING)
]
BetaOption = Annotated[
    float, typer.Option(help="Sampling is at this inverse temperature.", min=0.0, rich_help_panel=_SAMPLING)
]
UpdateOption = Annotated[
    int, typer.Option(help="The checkpoint of a run after this number of updates is taken; -1 is the last.", min=-1)
]
BestOption = Annotated[
    bool,
    typer.Option("--best", help="The checkpoint of a run whose held-out likelihood is the highest is taken."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="What is there is replaced.")]
JsonOption = Annotated[
    str | None, typer.Option("--json", help="The numbers are also written to this file.", metavar="FILE")
]
