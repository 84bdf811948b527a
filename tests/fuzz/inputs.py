"""Files of every format that the package reads: right ones, odd ones that follow the format, and damaged ones."""

from __future__ import annotations

import functools
import io
import json
import math
import shutil
import struct
import tempfile
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from damage import NASTY, damaged, damaged_tree

import rbmscape as rs
from rbmscape.digests import DIGEST
from rbmscape.study.plan import read_plan, read_search_plan

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "tests" / "archives" / "0.1.0"
BITS = np.random.default_rng(5).integers(0, 2, (7, 6)).astype(np.uint8)
MODEL = rs.RBM.random(6, 4, std=0.5, seed=2)
TYPES = ("u1", "i1", "i8", "u8", ">i4", "f2", "f4", "f8", "?", "c8", "S3", "U2", "M8[D]", "m8[s]", "V5", "i4,f4", "g")
SHAPES = ((7, 6), (7, 2, 3), (6,), (), (0, 6), (7, 0), (1, 1), (2, 2, 2, 2), (1, 6), (3, 1))

PLAN = """
hidden = [2, 3]
replicas = 1
data = {source = "planted", options = {n_visible = 8}}
recipes.main = {epochs = 2, adam_betas = [0.5, 0.5]}
recipes.other = {}
scopes.other = {hidden = [2]}
likelihood = {method = "bracket", max_betas = 4000, final = {method = "exact"}}
figure_options.gallery = {n_samples = 20}
"""

Maker = Callable[[np.random.Generator], bytes]
Reader = Callable[[Path], object]


def _array(rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Bits mostly, else anything that NumPy can hold without pickles."""
    if rng.random() < 0.4:
        return BITS.copy()
    kind, shape = TYPES[rng.integers(len(TYPES))], SHAPES[rng.integers(len(SHAPES))]
    size = math.prod(shape) * np.dtype(kind).itemsize
    content = rng.integers(0, 2, size) if rng.random() < 0.5 else rng.integers(0, 256, size)
    return np.frombuffer(content.astype(np.uint8).tobytes(), dtype=kind).reshape(shape)


def _npy(rng: np.random.Generator) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(_array(rng), order=rng.choice(["C", "F"])), allow_pickle=False)
    if rng.random() < 0.4:
        shape = rng.choice(
            [
                "(7,6)",
                "(10**9,6)",
                "(4000000000000,6)",
                "(-7,6)",
                "(7,6.0)",
                "(7,'a')",
                "7",
                "()",
                "(7,6,)*40",
                "(True,42)",
                "(1,)*70",
            ]
        )
        kind = rng.choice(
            ["'|u1'", "'|O'", "'<f8'", "[('a','<i4')]", "'|V0'", "'|S0'", "3", "'<U1000000000'", "{}", "'<M8[25s]'"]
        )
        head = (
            f"{{'descr': {kind}, 'fortran_order': {rng.choice(['False', 'True', '1'])}, 'shape': {shape}, }}".ljust(117)
            + "\n"
        )
        version = bytes([int(rng.choice([1, 2, 3, 9])), 0])
        size = struct.pack("<H" if version[0] == 1 else "<I", len(head))
        return b"\x93NUMPY" + version + size + head.encode() + BITS.tobytes()
    return content.getvalue()


def _npz(rng: np.random.Generator) -> bytes:
    content = io.BytesIO()
    names = [
        "samples",
        "train",
        "test",
        "labels",
        "data",
        "indices",
        "indptr",
        "shape",
        "format",
        "row",
        "col",
        "offsets",
        "a/b",
        "weights",
        "visible_bias",
        "hidden_bias",
        "x",
    ]
    if rng.random() < 0.3:
        import scipy.sparse

        kind = str(rng.choice(["csr", "csc", "coo", "dia", "bsr"]))
        parts = {"format": np.array(kind.encode()), "shape": np.array(BITS.shape)}
        matrix = getattr(scipy.sparse, f"{kind}_array")(BITS)
        parts |= {
            name: getattr(matrix, name)
            for name in ("data", "indices", "indptr", "row", "col", "offsets")
            if hasattr(matrix, name)
        }
        if rng.random() < 0.7:
            name = str(rng.choice(list(parts)))
            odd = [
                _array(rng),
                np.array([10**9, 10**9]),
                np.array([-1, 6]),
                np.array(parts[name]).astype(int) * -1 if parts[name].dtype.kind != "S" else np.array(b"abc"),
                np.array([2**62] * 7),
            ]
            parts[name] = odd[rng.integers(len(odd))]
    else:
        parts = {name: _array(rng) for name in rng.choice(names, int(rng.integers(0, 5)), replace=False)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (np.savez if rng.random() < 0.5 else np.savez_compressed)(content, **parts)
    return content.getvalue()


def _csv(rng: np.random.Generator) -> bytes:
    mark = str(rng.choice([",", ";", "\t", " ", "|"]))
    words = [
        "0",
        "1",
        "0.0",
        "1.0",
        "",
        "nan",
        "NA",
        "true",
        "-1",
        "2",
        "1e400",
        "1e-400",
        "9" * 400,
        "x",
        '"',
        '"a,b"',
        "'",
        "\x00",
        "é",
        "0x1",
        "1_0",
        "inf",
        "\u0661",
        " 1",
        "1" * 5000,
        "=1+1",
        "\ufeff",
        "1j",
        "--",
        "#",
    ]
    lines = []
    width = int(rng.integers(1, 6))
    if rng.random() < 0.4:
        lines.append(
            mark.join(
                str(rng.choice(["a", "b", "", "0", "1", "2", '"q"', "a", "\x1b[31m", "label", "NA"]))
                for _ in range(width)
            )
        )
    odd = rng.random() * 0.4
    for _ in range(int(rng.integers(0, 9))):
        fields = [words[rng.integers(len(words))] if rng.random() < odd else str(rng.integers(2)) for _ in range(width)]
        if rng.random() < odd / 4:
            fields = fields[:-1] if rng.random() < 0.5 else [*fields, "1"]
        lines.append(mark.join(fields))
    text = str(rng.choice(["\n", "\r\n", "\r", "\n\n"])).join(lines) + str(rng.choice(["", "\n"]))
    return text.encode(str(rng.choice(["utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig", "cp1252"])), "replace")


def _parquet(rng: np.random.Generator) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = int(rng.integers(0, 5))
    columns = [
        pa.array(rng.integers(0, 2, n)),
        pa.array(rng.integers(0, 2, n).astype(bool)),
        pa.array([None] * n),
        pa.array([[1]] * n),
        pa.array([{"a": 1}] * n),
        pa.array(["0"] * n).dictionary_encode(),
        pa.array(rng.integers(0, 2, n).astype(str)),
        pa.array([b"\xff"] * n),
        pa.array(rng.integers(0, 2, n)).cast(pa.timestamp("s")),
        pa.array([1, *[None] * n][:n], pa.int8()),
        pa.array(rng.integers(0, 2, n).astype(np.float16)),
        pa.array([1] * n).cast(pa.decimal128(30, 2)),
        pa.array([1] * n, pa.time32("s")),
        pa.array([np.nan] * n),
        pa.array([0.0, 1.0, 0.5, 1.0][:n]),
        pa.array([10**18] * n, pa.uint64()),
        pa.array([1] * n, pa.date32()),
        pa.array([300] * n).dictionary_encode(),
        pa.array([1] * n, pa.duration("ns")),
    ]
    chosen = [columns[0 if rng.random() < 0.6 else rng.integers(len(columns))] for _ in range(int(rng.integers(0, 5)))]
    names = [str(rng.choice(["a", "b", "c", "", "0", "label", "\x1b", "é"])) for _ in chosen]
    content = pa.BufferOutputStream()
    pq.write_table(pa.table(chosen, names=names), content, compression=str(rng.choice(["none", "snappy"])))
    return content.getvalue().to_pybytes()


def _hdf5(rng: np.random.Generator) -> bytes:
    content = io.BytesIO()
    w, a, b = (tensor.numpy() for tensor in (MODEL.weights, MODEL.visible_bias, MODEL.hidden_bias))
    with h5py.File(content, "w") as file:
        kind = int(rng.integers(4))
        if kind == 0:
            parts: dict[str, Any] = {"samples": BITS, "labels": np.arange(7), "x/y": BITS}
        elif kind == 1:
            parts = {
                "model_type": "BBRBM",
                "parallel_chains": BITS,
                "hyperparameters/seed": 3,
                "hyperparameters/L1": 0.1,
            }
            parts |= {
                f"update_{k}/params/{name}": one
                for k in (1, 5)
                for name, one in (("weight_matrix", w), ("vbias", a), ("hbias", b))
            }
            parts |= {"update_1/time": 0.5}
        elif kind == 2:
            parts = {
                "rbm_hdf5_file_format_version": "1.0.0",
                "rbm_type": "CenteredRBM",
                "weights": w.T,
                "visible_par": a[:, None],
                "hidden_par": b[:, None],
            }
            parts |= {
                "visible_type": "Binary",
                "hidden_type": "Spin",
                "offset_v": a,
                "offset_h": b,
                "scale_v": a,
                "scale_h": b,
            }
        else:
            parts = {"W": w, "a": a, "b": b}
        for name in list(parts):
            if rng.random() < 0.2:
                ODD_ITEMS[rng.integers(len(ODD_ITEMS))](file, name, rng)
            elif rng.random() < 0.95:
                file[name] = parts[name]
    return content.getvalue()


def _huge(file: Any, name: str, _rng: np.random.Generator) -> None:
    file.create_dataset(name, shape=(10**7, 10**8), dtype="u1", chunks=(1, 1000))


def _words(file: Any, name: str, _rng: np.random.Generator) -> None:
    file[name] = ["words", "of", "text"]


def _link(file: Any, name: str, rng: np.random.Generator) -> None:
    links = (h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{name}"), h5py.ExternalLink("other.h5", "/samples"))
    file[name] = links[rng.integers(len(links))]


def _number(file: Any, name: str, rng: np.random.Generator) -> None:
    file[name] = np.array(NASTY[rng.choice([3, 4, 11, 13, 14, 15, 16])])


def _of_numpy(file: Any, name: str, rng: np.random.Generator) -> None:
    found = _array(rng)
    if found.dtype.kind not in "UMmg":
        file[name] = found


ODD_ITEMS: tuple[Callable[[Any, str, np.random.Generator], object], ...] = (
    _huge,
    _words,
    _link,
    _number,
    _of_numpy,
    lambda file, name, _: file.create_group(name),
    lambda file, name, _: file.__setitem__(name, h5py.Empty("f4")),
    lambda file, name, _: file.__setitem__(name, np.array(file.ref, dtype=h5py.ref_dtype)),
    lambda file, name, _: file.create_dataset(name, shape=(3,), dtype=h5py.vlen_dtype(np.int32)),
    lambda file, name, _: file.create_dataset(name, data=BITS, chunks=True, compression="gzip", shuffle=True),
    lambda file, name, _: file.__setitem__(name, np.dtype("f8")),
)


def _safetensors(rng: np.random.Generator) -> bytes:
    from safetensors.torch import save

    tensors = {name: getattr(MODEL, name) for name in ("weights", "visible_bias", "hidden_bias")}
    content = save(
        tensors,
        metadata={
            "format": str(rng.choice(["rbmscape-model", "pt", "rbmscape-checkpoint"])),
            "schema": str(rng.choice(["1", "x", "99", "-1"])),
        },
    )
    if rng.random() < 0.7:
        size = int.from_bytes(content[:8], "little")
        header = json.dumps(damaged_tree(json.loads(content[8 : 8 + size]), rng)).encode()
        content = len(header).to_bytes(8, "little") + header + content[8 + size :]
    return content


def _pytorch(rng: np.random.Generator) -> bytes:
    import torch

    content = io.BytesIO()
    state: dict[Any, Any] = {
        "weights": MODEL.weights,
        "visible_bias": MODEL.visible_bias,
        "hidden_bias": MODEL.hidden_bias,
    }
    odd = [
        torch.ones(4, 6, dtype=torch.complex64),
        torch.ones(0),
        torch.tensor(1.0),
        torch.full((6,), float("nan")),
        torch.eye(3).to_sparse(),
        torch.ones(6, 4, device="meta"),
        torch.ones(6, dtype=torch.bfloat16),
        "text",
        3,
        None,
        [1, 2],
        torch.ones(6, 4).bool(),
        1.5,
        torch.ones(1, 6, 1),
        torch.full((6, 4), 1e38),
    ]
    for name in list(state):
        if rng.random() < 0.3:
            state[name] = odd[rng.integers(len(odd))]
    whole = [
        state,
        {"state_dict": state},
        {"model": {"state_dict": state}},
        [state],
        state["weights"],
        {3: 4},
        {"rbm." + k: v for k, v in state.items()},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(
            whole[0 if rng.random() < 0.5 else rng.integers(len(whole))],
            content,
            _use_new_zipfile_serialization=bool(rng.random() < 0.7),
        )
    return content.getvalue()


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_toml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    return "''" if value is None else json.dumps(value)


@functools.cache
def _plans() -> list[dict[str, Any]]:
    return [tomllib.loads(PLAN), *(tomllib.loads(p.read_text()) for p in sorted((ROOT / "examples").glob("*.toml")))]


def _read_any_plan(path: Path) -> object:
    """A plan of a study, or one that has anything called search as that of one."""
    return (read_search_plan if b'"search"' in path.read_bytes() else read_plan)(path)


def _toml(rng: np.random.Generator) -> bytes:
    plans = _plans()
    tree = damaged_tree(plans[0 if rng.random() < 0.6 else rng.integers(len(plans))], rng)
    return "".join(f"{json.dumps(str(k))} = {_toml_value(v)}\n" for k, v in tree.items()).encode("utf-8", "replace")


def _json(path: Path) -> Maker:
    record = json.loads(path.read_text())

    def make(rng: np.random.Generator) -> bytes:
        tree = {k: v for k, v in record.items() if k != DIGEST or rng.random() < 0.1}
        return json.dumps(damaged_tree(tree, rng), allow_nan=True).encode("utf-8", "replace")

    return make


def _lines(rng: np.random.Generator) -> bytes:
    rows = [json.loads(line) for line in (ARCHIVE / "run" / "metrics.jsonl").read_text().splitlines()]
    chosen = [damaged_tree(row, rng) if rng.random() < 0.5 else row for row in rows]
    chosen = [{k: v for k, v in row.items() if k != DIGEST} if isinstance(row, dict) else row for row in chosen]
    words = [json.dumps(row) for row in chosen]
    if rng.random() < 0.2:
        words.insert(0, str(rng.choice(["[" * 100000, "3", "null", "{}", '"a"', "{", "\x00", "1e400"])))
    return "\n".join(words).encode() + (b"\n" if rng.random() < 0.8 else b"")


def read_data(path: Path) -> object:
    """With a way of reading that the file's size chooses: named labels, missing entries, spins, packed bits."""
    ways: list[dict[str, Any]] = [
        {},
        {},
        {"labels": "label"},
        {"missing": "marginalize"},
        {"threshold": 0.5},
        {"states": "spins"},
        {"weights": "labels"},
        {"image_shape": (2, 3)},
        {"weights": "duplicates"},
        {"labels": "-1"},
        {"key": "x"},
    ]
    if path.suffix == ".npy":
        ways += [{"n_visible": 42}, {"n_visible": 48}]
    dataset = rs.load_dataset(path, **ways[path.stat().st_size % len(ways)])
    rows = np.asarray(dataset.train)
    assert rows.ndim == 2
    assert rows.dtype == np.uint8
    return dataset, rs.describe(dataset)


def read_model(path: Path) -> object:
    found = rs.read_model(path)
    rbm = found if isinstance(found, rs.RBM) else found.load()
    assert bool(np.isfinite(rbm.weights.numpy()).all())
    return found


def read_rbm(path: Path) -> object:
    return rs.RBM.load(path), rs.read_model(path)


def _in_directory(archive: str, target: str, look: Callable[[Path], object]) -> Reader:
    def read(path: Path) -> object:
        with tempfile.TemporaryDirectory(dir=path.parent) as place:
            directory = Path(place) / archive
            shutil.copytree(ARCHIVE / archive, directory)
            shutil.copy(path, directory / target)
            return look(directory)

    return read


def _look_at_run(directory: Path) -> object:
    found = rs.check(directory)
    run = rs.Run.open(directory)
    parts: list[Callable[[], object]] = [
        lambda: run.rows,
        lambda: run.metrics,
        run.load,
        lambda: run.chains,
        run.best,
        lambda: repr(run),
        lambda: run.is_complete,
        lambda: run.audit,
    ]
    for part in parts:
        try:
            part()
        except rs.RbmscapeError:
            continue
    return found, rs.train(
        rs.load_dataset("bars-and-stripes", image_shape=(3, 3)), None, directory, resume=True, progress=False
    )


def _look_at_study(directory: Path) -> object:
    found = rs.check(directory)
    study = rs.open_study(directory)
    return found, list(study.runs.values()), study.result_names()


@dataclass(frozen=True)
class Format:
    """How files of a format are made and read.

    Parameters
    ----------
    ending : of the file's name
    make : a file that follows the format, right or odd
    read : what is asked of the package
    cost : how many times longer than a file a trial takes
    """

    ending: str
    make: Maker
    read: Reader
    cost: int = 1


FORMATS: dict[str, Format] = {
    "csv": Format(".csv", _csv, read_data),
    "npy": Format(".npy", _npy, read_data),
    "npz": Format(".npz", _npz, read_data),
    "parquet": Format(".parquet", _parquet, read_data),
    "hdf5": Format(".h5", _hdf5, read_data),
    "models in hdf5": Format(".h5", _hdf5, read_model),
    "models in npz": Format(".npz", _npz, read_model),
    "models in safetensors": Format(".safetensors", _safetensors, read_rbm),
    "models in pytorch": Format(".pt", _pytorch, read_model),
    "plans": Format(".toml", _toml, _read_any_plan),
    "records of runs": Format(
        ".json", _json(ARCHIVE / "run" / "config.json"), _in_directory("run", "config.json", _look_at_run), 4
    ),
    "metrics": Format(".jsonl", _lines, _in_directory("run", "metrics.jsonl", _look_at_run), 4),
    "records of studies": Format(
        ".json", _json(ARCHIVE / "study" / "study.json"), _in_directory("study", "study.json", _look_at_study), 4
    ),
}


def one(name: str, number: int) -> bytes:
    """Input of a number, always the same: two of five are damaged after they were made."""
    form = FORMATS[name]
    rng = np.random.default_rng([number, *name.encode()])
    content = form.make(rng)
    return damaged(content, form.make(rng), rng) if number % 5 < 2 else content
