"""``rbmscape sample RUN|MODEL``: samples with a verdict as an .npz file and a picture."""

from __future__ import annotations

import io
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbmscape.cli.options import (
    BestOption,
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
    import xarray as xr

    from rbmscape.cli.models import OpenModel
    from rbmscape.sampling.samples import Samples

__all__ = ["sample"]


class Method(StrEnum):
    """Of sampling."""

    EQUILIBRIUM = "equilibrium"
    GIBBS = "gibbs"


def sample(
    model: Annotated[str, typer.Argument(help="Directory of a run, or a model's .safetensors file.")],
    n: Annotated[int, typer.Option("-n", "--number", help="Samples, of Gibbs sampling one a chain.", min=1)] = 100,
    method: Annotated[
        Method,
        typer.Option(
            help="equilibrium: replica exchange along the run (a single model: in temperature) until nothing speaks "
            "against equilibrium; gibbs: chains of --steps steps."
        ),
    ] = Method.EQUILIBRIUM,
    steps: Annotated[int | None, typer.Option(help="Gibbs steps of each chain (1000).", min=0)] = None,
    budget: Annotated[
        float | None, typer.Option(help="Multiply-adds until equilibrium at most, for example 1e12.", min=1.0)
    ] = None,
    out: Annotated[str, typer.Option(help="Name of the files OUT.npz and OUT.png; an ending is left out.")] = "samples",
    start: Annotated[
        str | None,
        typer.Option(help="First states of Gibbs chains: random, data (of the run), or a file with one row a chain."),
    ] = None,
    given: Annotated[
        str | None,
        typer.Option(
            help="A file of rows with missing entries (NaN or empty fields), which are drawn given the others; "
            "-n is the number of completions of each row.",
            metavar="FILE",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all random numbers.", min=0)] = 0,
    beta: BetaOption = 1.0,
    update: UpdateOption = -1,
    best: BestOption = False,
    image_shape: ImageShapeOption = None,
    labels: Annotated[
        str | None, typer.Option(help="The column of --given that holds labels.", rich_help_panel="Data")
    ] = None,
    engine: EngineOption = Engine.AUTO,
    precision: PrecisionOption = Precision.AUTO,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Draw samples: OUT.npz holds `samples` (visible), `hidden` and a verdict, OUT.png shows them.

    With --given it also holds `probability` of every unit and its `stderr`, and a verdict on each row.
    """
    from rbmscape.cli.costs import announce_steps, announce_tempering
    from rbmscape.cli.given import complete_rows, write_png
    from rbmscape.cli.models import check_absent, open_model
    from rbmscape.figures.mosaic import columns_attr
    from rbmscape.figures.sample_grid import compute, draw
    from rbmscape.sampling.equilibrium import MAX_CHAINS, equilibrium_samples
    from rbmscape.sampling.sample import USUAL_STEPS
    from rbmscape.sampling.sample import sample as draw_samples

    chains_only = {"--steps": steps, "--start": start, "--beta": None if beta == 1.0 else beta}
    _check_method(method, chains_only, budget, given)
    if labels is not None and given is None:
        raise typer.BadParameter("--labels names a column of --given; leave it out")
    stem = out.removesuffix(".npz").removesuffix(".png")
    if not Path(stem).name or out.endswith("/"):
        raise typer.BadParameter(f"--out is {out!r}, which names no files; give for example samples")
    files = [Path(f"{stem}.npz"), Path(f"{stem}.png")]
    check_absent(files, overwrite=overwrite)
    shape = None if image_shape is None else parse_image_shape(image_shape)
    opened = open_model(model, update, device, best=best)
    if given is not None:
        way = "gibbs" if method is Method.GIBBS else "auto"
        found = complete_rows(
            opened, given, (files[0], files[1]), shape, n, labels, method=way, seed=seed, budget=budget,
            engine=engine.value, precision=precision.value, progress=True,
        )  # fmt: skip
        _say(str(found.verdict), files)
        return
    how: dict[str, Any] = {"engine": engine.value, "precision": precision.value}
    if method is Method.GIBBS:
        announce_steps(opened.rbm, float(n) * (USUAL_STEPS if steps is None else steps), n, **how)
        samples = draw_samples(
            opened.rbm, n, steps, seed, _first_states(start, opened), beta,
            **how, progress=True,
        )  # fmt: skip
    else:
        announce_tempering(opened.rbm, min(n, MAX_CHAINS), budget=budget, **how)
        samples = equilibrium_samples(opened.path or opened.rbm, n, seed, budget=budget, **how, progress=True)
    facts = {"model": opened.name, "verdict": str(samples.verdict), **samples.facts}
    states, names = samples.v.cpu().numpy(), columns_attr(opened.columns)
    grid = compute(states, shape or opened.image_shape, columns=names, **facts)
    _write_npz(files[0], samples, facts, grid, opened)
    write_png(files[1], draw(grid), facts)
    _say(str(samples.verdict), files)


def _say(verdict: str, files: list[Path]) -> None:
    typer.echo(verdict)
    for path in files:
        typer.echo(str(path))


def _check_method(method: Method, of_gibbs: dict[str, Any], budget: float | None, given: str | None) -> None:
    """Refuse options of the other method."""
    found = [name for name, value in of_gibbs.items() if value is not None]
    if given is not None and found:
        raise typer.BadParameter(f"{found[0]} is for chains of whole states; leave it or --given out")
    if method is Method.EQUILIBRIUM and found:
        raise typer.BadParameter(f"{found[0]} is for chains; add --method gibbs or leave it out")
    if given is None and method is Method.GIBBS and budget is not None:
        raise typer.BadParameter("--budget is for equilibrium samples; chains take --steps")


def _first_states(start: str | None, opened: OpenModel) -> Any:
    from rbmscape.data.load import load_dataset
    from rbmscape.errors import InputError

    if start is None or start == "random":
        return None
    if start != "data":
        return opened.ordered(load_dataset(start, test_fraction=0)).train
    if opened.run is None:
        raise InputError(f"{opened.name} is a single model without data; start from random or from a data file")
    return opened.run.dataset()


def _write_npz(path: Path, samples: Samples, facts: dict[str, Any], grid: xr.Dataset, opened: OpenModel) -> None:
    """States, shape of an image (zeros for none), names of the units (none if unknown), verdict, and facts as JSON.

    Samples of a run on spins are spins.
    """
    import numpy as np

    from rbmscape.figures.mosaic import column_names
    from rbmscape.files import write_bytes

    shape = grid.attrs["height"], grid.attrs["width"]

    content = io.BytesIO()
    np.savez_compressed(
        content, samples=opened.shown(samples.v.cpu().numpy()), hidden=samples.h.cpu().numpy(),
        image_shape=np.array(shape), columns=np.array(column_names(grid), dtype=str),
        seed=np.uint64(samples.how["samples_seed"]), converged=np.bool_(samples.converged),
        verdict=np.array(str(samples.verdict)), facts=np.array(json.dumps(facts)),
    )  # fmt: skip
    write_bytes(path, content.getvalue())
