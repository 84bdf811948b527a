"""What all tests share: one thread a worker, derandomised properties, no display, no global state that leaks."""

from __future__ import annotations

import os
import shutil

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
import torch

hypothesis.settings.register_profile(
    "rbmscape",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("rbmscape")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def browser() -> str | None:
    """Path of a Chromium that can be driven, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, and say why."""
    without_gpu = pytest.mark.skip(reason="needs a CUDA device")
    without_browser = pytest.mark.skip(reason="needs Chromium on the PATH, as from `apt-get install chromium`")
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(without_gpu)
        if item.get_closest_marker("browser") and browser() is None:
            item.add_marker(without_browser)


def global_generators() -> tuple[bytes, bytes, int]:
    """State of torch's and of NumPy's global generator."""
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002
    return torch.random.get_rng_state().numpy().tobytes(), keys.tobytes(), position


@pytest.fixture(autouse=True)
def _global_generators_are_left_alone():
    """Fail a test during which anything draws from, or reseeds, a global generator: randomness is an argument here."""
    before = global_generators()
    yield
    assert global_generators() == before, "a global random generator was used; pass a seed, a Stream or a Generator"
