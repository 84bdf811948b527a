"""``rbmscape sample RUN|MODEL``: Gibbs samples as an .npz file and a picture."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbmscape.cli.options import (
    BetaOption,
    DeviceOption,
    Engine,
    EngineOption,
    ImageShapeOption,
    OverwriteOption,
    Precision,
    PrecisionOption,
    UpdateOption,
    parse_image_shape,
)

if TYPE_CHECKING:
    from rbmscape.cli.models import OpenModel
    from rbmscape.sampling.sample import Samples

__all__ = ["sample"]


def sample(
    model: Annotated[str, typer.Argument(help="Directory of a run, or a model's .safetensors file.")],
    n: Annotated[int, typer.Option("-n", "--number", help="Chains, one sample each.", min=1)] = 100,
    steps: Annotated[int, typer.Option(help="Gibbs steps of each chain.", min=0)] = 1000,
    out: Annotated[str, typer.Option(help="Names of the files without ending: OUT.npz and OUT.png.")] = "samples",
    start: Annotated[
        str, typer.Option(help="First states: random, data (of the run), or a data file with one row a chain.")
    ] = "random",
    seed: Annotated[int, typer.Option(help="Of all random numbers.", min=0)] = 0,
    beta: BetaOption = 1.0,
    update: UpdateOption = -1,
    image_shape: ImageShapeOption = None,
    engine: EngineOption = Engine.AUTO,
    precision: PrecisionOption = Precision.AUTO,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Draw samples: OUT.npz holds `samples` (visible) and `hidden`, OUT.png shows them."""
    from rbmscape.cli.models import check_absent, open_model
    from rbmscape.figures.sample_grid import compute, draw
    from rbmscape.sampling.sample import sample as draw_samples

    files = [Path(f"{out}.npz"), Path(f"{out}.png")]
    check_absent(files, overwrite=overwrite)
    shape = None if image_shape is None else parse_image_shape(image_shape)
    opened = open_model(model, update, device)
    samples = draw_samples(
        opened.rbm, n, steps, seed, _first_states(start, opened), beta, engine.value, precision.value,
        progress=sys.stdout.isatty(),
    )  # fmt: skip
    facts = {"model": opened.name, "seed": seed, "n_steps": steps, "beta": beta}
    grid = compute(samples.v.cpu().numpy(), shape or opened.image_shape, **facts)
    _write_npz(files[0], samples, grid.attrs)
    _write_png(files[1], draw(grid))
    for path in files:
        typer.echo(str(path))


def _first_states(start: str, opened: OpenModel) -> Any:
    from rbmscape.data.load import load_dataset
    from rbmscape.errors import InputError

    if start == "random":
        return None
    if start != "data":
        return load_dataset(start, test_fraction=0).train
    if opened.run is None:
        raise InputError(f"{opened.name} is a single model without data; start from random or from a data file")
    return opened.run.dataset()


def _write_npz(path: Path, samples: Samples, attributes: dict[str, Any]) -> None:
    import numpy as np

    from rbmscape.files import write_bytes

    content = io.BytesIO()
    shape = np.array([attributes["height"], attributes["width"]])
    np.savez_compressed(
        content, samples=samples.v.cpu().numpy(), hidden=samples.h.cpu().numpy(), image_shape=shape,
        seed=np.uint64(samples.seed), n_steps=np.int64(samples.n_steps), beta=np.float64(samples.beta),
    )  # fmt: skip
    write_bytes(path, content.getvalue())


def _write_png(path: Path, figure: Any) -> None:
    from rbmscape.files import write_bytes

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=200)
    write_bytes(path, content.getvalue())
