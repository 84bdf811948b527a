import h5py
import numpy as np
import pytest

import rbmscape as rs


@pytest.fixture(scope="session")
def parameters():
    """(6, 4) weights and both biases in float32."""
    rng = np.random.default_rng(3)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in ((6, 4), 6, 4))


@pytest.fixture(scope="session")
def model(parameters):
    return rs.RBM(*parameters)


@pytest.fixture
def same(parameters):
    """Whether a model has exactly these parameters."""

    def check(rbm, tolerance=0.0):
        found = rbm.weights.numpy(), rbm.visible_bias.numpy(), rbm.hidden_bias.numpy()
        return all(
            one.shape == other.shape and np.abs(one - other).max() <= tolerance
            for one, other in zip(found, parameters, strict=True)
        )

    return check


@pytest.fixture
def rbms_file(tmp_path, parameters):
    """A training of two updates as rbms 0.5 and 0.6 write it."""
    path = tmp_path / "training.h5"
    w, a, b = parameters
    with h5py.File(path, "w") as file:
        file["model_type"] = "BBRBM"
        file["parallel_chains"] = np.tile(np.float32([0, 1, 0, 1, 1, 0]), (8, 1))
        hyper = file.create_group("hyperparameters")
        for name, value in {"batch_size": 20, "gibbs_steps": 7, "learning_rate": 0.02, "L1": 0.0, "L2": 0.001}.items():
            hyper[name] = value
        for update, factor in ((1, 0.5), (30, 1.0)):
            group = file.create_group(f"update_{update}")
            group["time"] = 0.25 * update
            params = group.create_group("params")
            params["weight_matrix"], params["vbias"], params["hbias"] = factor * w, a, b
    return path
