"""One model on several processes that torchrun starts: the model of one process but for the rounding of sums."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError, InputError
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.training.team import check_shares

RECIPE = {"n_hidden": 6, "batch_size": 10, "n_chains": 20, "gibbs_steps": 2, "averaging": 5, "learning_rate": 0.1}


def test_two_processes_continue_a_run_as_one_would(patterns, tmp_path):
    """Begun by one process, continued by two; the chains are the same states."""
    config = rs.TrainingConfig(**RECIPE, epochs=3)
    alone = rs.train(patterns, config, tmp_path / "alone", progress=False)
    rs.train(patterns, config, tmp_path / "run", until_update=4, progress=False)
    torch_run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, rbmscape as rs\n"
        f"rows = np.load({str(tmp_path / 'rows.npy')!r})\n"
        "data = rs.Dataset.from_array(rows[:50], rows[50:], name='patterns')\n"
        f"config = rs.TrainingConfig(**{RECIPE!r}, epochs=3)\n"
        f"rs.train(data, config, {str(tmp_path / 'run')!r}, resume=True, progress=False)\n"
    )
    np.save(tmp_path / "rows.npy", np.concatenate((patterns.train, patterns.test)))
    subprocess.run([*torch_run, str(script)], check=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"})
    together = rs.Run.open(tmp_path / "run")
    assert together.last_update == alone.last_update
    assert torch.equal(together.chains, alone.chains)
    for name in PARAMETER_NAMES:
        one, other = (getattr(run.load(averaged=False), name) for run in (alone, together))
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_chains": 21}, "n_chains 21 cannot be shared out over 2 processes; take a multiple of 2"),
        ({"batch_size": 9}, "batch_size 9 cannot be shared out over 2 processes"),
        ({"method": "ptt"}, "'ptt' trains in one process, found 2; start it without torchrun"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        check_shares(rs.TrainingConfig(**(RECIPE | {"epochs": 1} | changes)), 100, 2)


def test_several_processes_need_a_directory(patterns, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes train one model and need a directory for it, found none"):
        rs.train(patterns, rs.TrainingConfig(**RECIPE, epochs=1), progress=False)
