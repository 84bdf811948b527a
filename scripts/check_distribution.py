"""What users install: the wheel, the sdist, and what each extra adds, in environments of their own.

``python scripts/check_distribution.py --build FOLDER`` builds the wheel, the sdist and the wheel of the sdist, and
compares them; that is the part that takes seconds.  ``python scripts/check_distribution.py FOLDER`` installs the wheel
for every Python that is found, without extras and with each extra alone, and tries it there.

An environment with an extra sees the one without extras through a path file, so that what both need is installed once;
pip adds to it what the extra asks for, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LARGEST_WHEEL = 4_000_000
NOT_TRIED = ("dev", "docs", "bench")
"""Extras for those who work on the package; `.ci/run` installs and uses the first with all that is in it."""
TRIALS = {
    "": "",
    "dask": "import dask, distributed",
    "slurm": "import dask_jobqueue",
    "gpu": "import triton",
    "parquet": "import pandas; pandas.DataFrame([[0, 1]] * 9, columns=['a', 'b']).to_parquet('x.parquet'); "
    "assert rs.load_dataset('x.parquet').n_visible == 2",
    "sklearn": "from rbmscape.sklearn import BernoulliRBM; BernoulliRBM(n_components=2, n_iter=1).fit(data.train)",
    "tensorboard": "rs.train(data, run.config, callbacks=[rs.TensorBoardTracker('events')], progress=False)",
}
SMOKE = """
import pathlib, rbmscape as rs
assert not pathlib.Path(rs.__file__).is_relative_to({root!r}), rs.__file__
data = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
run = rs.train(data, rs.TrainingConfig(n_hidden=3, epochs=2, batch_size=7, n_chains=7), progress=False)
assert rs.load_dataset("mnist").train.shape == (60000, 784)
{trial}
"""
COMMANDS = (
    ["--help"],
    ["train", "bars-and-stripes", "--hidden", "3", "--epochs", "2", "--out", "run", "--quiet"],
    ["evaluate", "run"],
    ["sample", "run", "-n", "10", "--method", "gibbs", "--steps", "5", "--out", "samples"],
)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Output of a command; what it said is printed where it fails."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    found = subprocess.run(list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    if found.returncode:
        lines = (found.stdout + found.stderr).strip().splitlines()
        raise RuntimeError(f"{' '.join(map(str, command))}: " + " | ".join(lines[-3:]))
    return found.stdout


def contents(wheel: Path) -> dict[str, bytes]:
    """Files of a wheel."""
    with zipfile.ZipFile(wheel) as found:
        return {name: found.read(name) for name in found.namelist()}


def build(folder: Path) -> Path:
    """The wheel, after comparing it with that of the sdist."""
    hatch = [sys.executable, "-m", "hatchling", "build", "-d", str(folder.resolve())]
    run(*hatch, "-t", "sdist", "-t", "wheel", cwd=ROOT)
    (wheel,), (sdist,) = folder.glob("rbmscape-*.whl"), folder.glob("rbmscape-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    again = (folder / "again").resolve()
    run(*hatch[:-1], str(again), "-t", "wheel", cwd=source)
    ours, theirs = contents(wheel), contents(next(again.glob("*.whl")))
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if different:
        raise RuntimeError(f"the sdist builds another wheel; the first file that differs is {different[0]}")
    if wheel.stat().st_size > LARGEST_WHEEL:
        raise RuntimeError(f"{wheel} has {wheel.stat().st_size} bytes, more than {LARGEST_WHEEL}")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, {len(ours)} files; the sdist builds the same")
    return wheel


def interpreter(version: str) -> Path | None:
    """A Python of this version: pyenv's, or one on the path that runs."""
    homes = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [home / "bin" / "python" for home in sorted(homes.glob(f"{version}*"), reverse=True)]
    places += [Path(found)] if (found := shutil.which(f"python{version}")) else []
    for place in places:
        with_version = [str(place), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            told = subprocess.run(with_version, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
        if told == version:
            return place
    return None


def environment(place: Path, python: Path, below: Path | None) -> Path:
    """Python of a new environment, which sees the packages of the one below."""
    run(python, "-m", "venv", place)
    own = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if below is not None:
        (site,) = run(below, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").split()
        (here,) = run(own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").split()
        (Path(here) / "below.pth").write_text(site + "\n", encoding="utf-8")
    return own


def trial(own: Path, wheel: Path, extra: str, place: Path) -> str:
    """Install and try the package; returns what came of it in a few words."""
    began = time.monotonic()
    target = f"rbmscape[{extra}] @ {wheel.resolve().as_uri()}" if extra else str(wheel.resolve())
    try:
        before = set(installed(own))
        run(own, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", target)
        added = [name for name in installed(own) if name not in before]
        run(own, "-c", SMOKE.format(root=str(ROOT), trial=TRIALS[extra]), cwd=place)
        for words in COMMANDS:
            run(own, "-m", "rbmscape", *words, cwd=place)
        run(own, "-m", "pip", "check")
    except RuntimeError as error:
        return f"FAILED: {error}"
    return f"passes, {len(added)} packages, {time.monotonic() - began:.0f} s"


def installed(own: Path) -> list[str]:
    """Names of the packages that an environment sees."""
    return [line.split("==")[0] for line in run(own, "-m", "pip", "list", "--format=freeze").split()]


def try_all(wheel: Path, folder: Path, pythons: list[str], extras: list[str]) -> bool:
    """Print a line for each Python and extra; whether all pass."""
    fine = True
    for version in pythons:
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: absent here, not tried")
            continue
        base: Path | None = None
        for extra in ["", *extras]:
            name = f"{version}-{extra or 'core'}"
            own, place = environment(folder / name, python, base), folder / f"{name}-files"
            place.mkdir()
            words = trial(own, wheel, extra, place)
            fine &= words.startswith("passes")
            print(f"Python {version}, {extra or 'without extras'}: {words}", flush=True)
            base = base or own
            if extra:
                shutil.rmtree(folder / name)
        shutil.rmtree(folder / f"{version}-core")
    return fine


def main() -> int:
    """Build, and unless only that is asked for install and try."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder for what is built and installed")
    parser.add_argument("--build", action="store_true", help="only build and compare")
    parser.add_argument("--python", nargs="*", default=list(PYTHONS), help="versions")
    parser.add_argument("--extra", nargs="*", default=[name for name in known if name not in NOT_TRIED])
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    wheel = build(chosen.folder)
    return 0 if chosen.build or try_all(wheel, chosen.folder, chosen.python, chosen.extra) else 1


if __name__ == "__main__":
    sys.exit(main())
