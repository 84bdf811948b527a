"""The commands do what they say: train, resume, sample, evaluate, info and bench on small models, checked exactly."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.training.display import TrainingDisplay

SMALL = ["--hidden", "6", "--epochs", "12", "--chains", "20", "--steps", "2", "--engine", "reference", "--quiet"]


def train(directory, *more):
    """A small run on 3x3 bars and stripes."""
    return main(["train", "bars-and-stripes", "--image-shape", "3x3", *SMALL, "--out", str(directory), *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "a"
    assert train(directory) == 0
    return directory


def test_train_hands_every_option_to_the_recipe(tmp_path, capsys):
    directory = tmp_path / "run"
    words = {
        "--hidden": "5", "--method": "cd", "--steps": "3", "--chains": "7", "--visible-bias": "zeros", "--l1": "0.001",
        "--weight-std": "0.2", "--engine": "reference", "--precision": "fp64", "--epochs": "2", "--batch-size": "4",
        "--learning-rate": "0.03", "--gradient": "plain", "--optimizer": "sgd", "--momentum": "0.5", "--l2": "0.002",
        "--schedule": "cosine", "--decay-start": "0.25", "--averaging": "9", "--seed": "11",
        "--checkpoint-epochs": "1,2", "--out": str(directory), "--image-shape": "2x3",
    }  # fmt: skip
    assert main(["train", "bars-and-stripes", "--quiet", *(word for pair in words.items() for word in pair)]) == 0
    assert capsys.readouterr().out.strip() == str(directory)
    config = rs.Run.open(directory).config
    expected = rs.TrainingConfig(
        n_hidden=5, method="cd", gibbs_steps=3, n_chains=7, visible_bias_init="zeros", weight_std=0.2,
        engine="reference", precision="fp64", epochs=2, batch_size=4, learning_rate=0.03, gradient="plain",
        optimizer="sgd", momentum=0.5, schedule="cosine", decay_start=0.25, l1=0.001, l2=0.002, averaging=9, seed=11,
        checkpoint_epochs=(1, 2),
    )  # fmt: skip
    assert config == expected


def test_the_papers_recipe_and_the_default_directory(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--recipe", "paper", "--epochs", "1", "--steps", "1", "--hidden", "4", "--engine", "reference", "-q"]
    assert main(["train", "planted", "--n-train", "600", "--n-test", "10", *words]) == 0
    place = capsys.readouterr().out.strip()
    assert place == "runs/planted-64-rank-3-4-seed0"
    expected = rs.TrainingConfig.paper(epochs=1, gibbs_steps=1, n_hidden=4, engine="reference")
    assert rs.Run.open(place).config == expected


def test_a_run_is_replaced_only_when_asked(tmp_path, capsys):
    directory = tmp_path / "run"
    assert train(directory) == 0
    before = (directory / "config.json").read_bytes()
    assert train(directory, "--seed", "5") == 1
    message = capsys.readouterr().err
    assert "already holds a run" in message
    assert "--overwrite" in message
    assert (directory / "config.json").read_bytes() == before
    assert train(directory, "--seed", "5", "--overwrite") == 0
    assert rs.Run.open(directory).config.seed == 5


def test_train_says_and_records_what_speaks_against_it(tmp_path, capsys):
    directory = tmp_path / "run"
    words = ["train", "bars-and-stripes", "--image-shape", "3x3", *SMALL[:-1], "--out", str(directory)]
    assert main([*words, "--learning-rate", "1e-9"]) == 0
    said = capsys.readouterr()
    assert "caution: the model is worse than a mixture of 14 products (-6.2 against " in said.err
    assert "independent units: -" in said.err
    assert said.out.strip() == str(directory)
    audit = rs.Run.open(directory).audit
    assert audit is not None
    assert audit["findings"][0] in said.err
    assert main([*words, "--overwrite", "--epochs", "1", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert rs.Run.open(directory).audit["update"] == 1


def test_interrupt_then_resume_gives_the_undisturbed_run(tmp_path, trained, monkeypatch, capsys):
    """Ctrl-C arrives at update 7; --resume needs no other option and ends with the same bits."""
    directory = tmp_path / "run"

    def interrupt(_self, _done, status):
        if status.update == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "advance", interrupt)
        words = ["train", "bars-and-stripes", "--image-shape", "3x3", *SMALL[:-1], "--out", str(directory)]
        assert main(words) == 130
    message = capsys.readouterr().err
    assert f"continue with: rbmscape train --resume --out {directory}" in message
    assert not rs.Run.open(directory).is_complete
    assert main(["train", "--resume", "--out", str(directory), "--quiet"]) == 0
    undisturbed, resumed = rs.Run.open(trained).load(), rs.Run.open(directory).load()
    for name in PARAMETER_NAMES:
        assert torch.equal(getattr(undisturbed, name), getattr(resumed, name))


def test_resume_refuses_another_recipe_and_other_data(tmp_path, trained, capsys):
    assert main(["train", "--resume", "--out", str(trained), "--hidden", "7", "-q"]) == 1
    assert "n_hidden=6, not 7" in capsys.readouterr().err
    assert main(["train", "bars-and-stripes", "--image-shape", "2x3", "--resume", "--out", str(trained), "-q"]) == 1
    assert "other contents" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(tmp_path / "new"), "-q"]) == 2
    assert main(["train", "--resume", "--out", str(trained), "--threshold", "0.5", "-q"]) == 2


def test_data_that_changed_are_noticed(tmp_path, capsys):
    path, directory = tmp_path / "data.npy", tmp_path / "run"
    values = np.random.default_rng(0).integers(0, 2, (30, 5))
    np.save(path, values)
    assert main(["train", str(path), *SMALL, "--out", str(directory)]) == 0
    np.save(path, 1 - values)
    capsys.readouterr()
    assert main(["evaluate", str(directory)]) == 1
    assert "has changed since" in capsys.readouterr().err


def test_sample_writes_what_the_library_draws(tmp_path, trained, capsys):
    out = tmp_path / "drawn"
    words = [
        "sample",
        str(trained),
        "-n",
        "13",
        "--method",
        "gibbs",
        "--steps",
        "20",
        "--seed",
        "3",
        "--engine",
        "reference",
        "--out",
        str(out),
    ]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"{out}.npz", f"{out}.png"]
    expected = rs.sample(rs.Run.open(trained).load(), 13, 20, seed=3, engine="reference")
    with np.load(f"{out}.npz") as stored:
        np.testing.assert_array_equal(stored["samples"], expected.v)
        np.testing.assert_array_equal(stored["hidden"], expected.h)
        assert stored["image_shape"].tolist() == [3, 3]
    np.testing.assert_array_equal(rs.load_dataset(f"{out}.npz", test_fraction=0).train, expected.v)
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


def test_sample_starts_where_it_is_told(tmp_path, trained, capsys):
    data = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    patterns = {row.tobytes() for row in data.train}
    words = ["sample", str(trained), "--method", "gibbs", "--steps", "0", "-n", "14", "--engine", "reference", "--out"]
    assert main([*words, str(tmp_path / "a"), "--start", "data"]) == 0
    with np.load(tmp_path / "a.npz") as stored:
        assert {row.tobytes() for row in stored["samples"]} <= patterns
    np.save(tmp_path / "rows.npy", data.train)
    assert main([*words, str(tmp_path / "b"), "--start", str(tmp_path / "rows.npy")]) == 0
    with np.load(tmp_path / "b.npz") as stored:
        np.testing.assert_array_equal(stored["samples"], data.train)
    rs.Run.open(trained).load().save(tmp_path / "model.safetensors")
    capsys.readouterr()
    words = ["sample", str(tmp_path / "model.safetensors"), "--method", "gibbs", "--out", str(tmp_path / "c")]
    assert main([*words, "--start", "data"]) == 1
    assert "without data" in capsys.readouterr().err
    assert main([*words, "--steps", "2"]) == 0


@pytest.mark.parametrize("single", [False, True], ids=["a run", "a model"])
def test_sample_is_in_equilibrium_by_default_and_its_files_keep_the_verdict(tmp_path, trained, capsys, single):
    from PIL import Image

    run, out = rs.Run.open(trained), tmp_path / "drawn"
    source = trained
    if single:
        source = tmp_path / "model.safetensors"
        run.load().save(source)
    capsys.readouterr()
    assert main(["sample", str(source), "-n", "30", "--seed", "3", "--engine", "reference", "--out", str(out)]) == 0
    expected = rs.equilibrium_samples(run.load() if single else run, 30, seed=3, engine="reference")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [str(expected.verdict), f"{out}.npz", f"{out}.png"]
    with np.load(f"{out}.npz") as stored:
        np.testing.assert_array_equal(stored["samples"], expected.v)
        assert bool(stored["converged"]) is expected.converged
        assert str(stored["verdict"]) == str(expected.verdict)
        facts = json.loads(str(stored["facts"]))
    assert facts["samples_objections"] == expected.facts["samples_objections"]
    assert facts["samples_rounds"] == expected.how["samples_rounds"]
    with Image.open(f"{out}.png") as picture:
        assert picture.text["verdict"] == str(expected.verdict)
        assert picture.text["samples_method"] == expected.method


@pytest.mark.parametrize("ending", ["", ".npz", ".png"])
def test_an_ending_of_out_is_not_doubled(tmp_path, trained, ending):
    words = ["sample", str(trained), "--method", "gibbs", "--steps", "0", "-n", "2", "--engine", "reference"]
    assert main([*words, "--out", str(tmp_path / f"drawn.v2{ending}")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn.v2.npz", "drawn.v2.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--steps", "3"], "--method gibbs"), (["--method", "gibbs", "--budget", "1e9"], "--steps")],
)
def test_sample_refuses_options_of_the_other_method(tmp_path, trained, capsys, options, words):
    assert main(["sample", str(trained), *options, "--out", str(tmp_path / "x")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()


def test_evaluate_is_exact_for_small_models(tmp_path, trained, capsys):
    run = rs.Run.open(trained)
    middle = run.updates[len(run.updates) // 2]
    data = torch.from_numpy(rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train)
    for update in (-1, middle):
        path = tmp_path / "numbers.json"
        assert main(["evaluate", str(trained), "--update", str(update), "--json", str(path)]) == 0
        numbers, model = json.loads(path.read_text()), run.load(update).to(dtype=torch.float64)
        assert numbers["method"] == "exact"
        assert numbers["log_partition"]["value"] == pytest.approx(exact_log_partition(model), abs=1e-4)
        exact = float(exact_log_likelihood(model, data).mean())
        assert numbers["log_likelihood"]["test"]["value"] == pytest.approx(exact, abs=1e-4)
        assert numbers["log_likelihood"]["test"]["stderr"] == 0.0
        assert numbers["log_likelihood"]["test"]["row_stderr"] == numbers["audit"]["log_likelihood"]["row_stderr"] > 0.0
        assert numbers["audit"]["mixing"].startswith("trained ")
        assert numbers["audit"]["update"] == (run.updates[-1] if update == -1 else update)
    printed = capsys.readouterr().out
    for words in ("exact", "independent units", "14 products", "caution"):
        assert words in printed


def test_evaluate_judges_a_model_without_its_training_and_with_other_data(tmp_path, trained, capsys):
    rs.Run.open(trained).load().save(tmp_path / "model.safetensors")
    words = ["--data", "bars-and-stripes", "--image-shape", "3x3", "--json", str(tmp_path / "numbers.json")]
    assert main(["evaluate", str(tmp_path / "model.safetensors"), *words]) == 0
    audit = json.loads((tmp_path / "numbers.json").read_text())["audit"]
    assert audit["in_equilibrium"] is None
    assert audit["independent_units"]["value"] == pytest.approx(-9 * np.log(2), abs=1e-3)
    np.save(tmp_path / "rows.npy", np.eye(9, dtype=np.uint8).repeat(2, 0))
    assert main(["evaluate", str(trained), "--data", str(tmp_path / "rows.npy"), *words[4:]]) == 0
    assert json.loads((tmp_path / "numbers.json").read_text())["audit"]["in_equilibrium"] is None


def test_evaluate_by_annealing_agrees_with_enumeration(tmp_path, trained, capsys):
    """Within 5 standard errors (false alarms below 1 in 10^6, seed fixed); the control is off by more than that."""
    path = tmp_path / "numbers.json"
    words = ["--method", "ais", "--chains", "200", "--betas", "100", "--engine", "reference", "--json", str(path)]
    assert main(["evaluate", str(trained), *words]) == 0
    numbers = json.loads(path.read_text())
    exact = exact_log_partition(rs.Run.open(trained).load().to(dtype=torch.float64))
    found = numbers["log_partition"]
    assert numbers["ess"] > 50
    assert 0 < found["stderr"] < 0.1
    assert abs(found["value"] - exact) < 5 * found["stderr"] + 1e-4
    assert abs(found["value"] - (exact + 1.0)) > 5 * found["stderr"]
    printed = capsys.readouterr().out
    assert re.search(r"test log-likelihood\s+-\d+\.\d+ ± 0\.\d+ \(ln Z\) ± 0\.\d+ \(rows\)", printed)


@pytest.mark.slow
def test_evaluate_brackets_the_exact_value(tmp_path, trained, capsys):
    """5 standard errors (false alarms below 1 in 10^6, seed fixed); a value 1 nat away is outside."""
    path = tmp_path / "numbers.json"
    words = ["--method", "bracket", "--chains", "100", "--betas", "100", "--engine", "reference", "--json", str(path)]
    assert main(["evaluate", str(trained), *words]) == 0
    numbers = json.loads(path.read_text())
    data = torch.from_numpy(rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).test)
    exact = float(exact_log_likelihood(rs.Run.open(trained).load().to(dtype=torch.float64), data).mean())
    assert set(numbers["log_likelihood"]) == {"train", "test"}
    bounds = numbers["log_likelihood"]["test"]
    low = bounds["lower"]["value"] - 5 * bounds["lower"]["stderr"] - 1e-4
    high = bounds["upper"]["value"] + 5 * bounds["upper"]["stderr"] + 1e-4
    assert low < exact < high
    assert not low < exact + 1.0 < high
    assert ("not converged" in capsys.readouterr().out) is not numbers["converged"]


def test_evaluate_lists_all_checkpoints(tmp_path, trained, capsys, monkeypatch):
    """Exact sums for a small model; else one tempering, which agrees with them (5 errors, at least 0.05 nats)."""
    run, path = rs.Run.open(trained), tmp_path / "numbers.json"
    data = torch.from_numpy(rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train)
    exact = [float(exact_log_likelihood(one.to(dtype=torch.float64), data).mean()) for one in run.models()]
    assert main(["evaluate", str(trained), "--all", "--json", str(path)]) == 0
    numbers = json.loads(path.read_text())
    assert numbers["method"] == "exact"
    assert [line["update"] for line in numbers["checkpoints"]] == list(run.updates)
    found = [line["log_likelihood"]["test"]["value"] for line in numbers["checkpoints"]]
    np.testing.assert_allclose(found, exact, atol=1e-4)
    monkeypatch.setattr("rbmscape.likelihood.estimate.EXACT_WORK", 1.0)
    assert main(["evaluate", str(trained), "--all", "--json", str(path)]) == 0
    numbers = json.loads(path.read_text())
    assert numbers["method"] == "trajectory"
    for line, value in zip(numbers["checkpoints"], exact, strict=True):
        score = line["log_likelihood"]["test"]
        assert abs(score["value"] - value) < max(0.05, 5 * (score["stderr"] or 0.0))
    assert "one tempering along the training" in " ".join(capsys.readouterr().out.split())


def test_all_needs_a_run_and_an_estimator_of_its_own(tmp_path, trained, capsys):
    rs.Run.open(trained).load().save(tmp_path / "model.safetensors")
    words = ["--data", "bars-and-stripes", "--image-shape", "3x3", "--all"]
    assert main(["evaluate", str(tmp_path / "model.safetensors"), *words]) == 1
    assert "--all lists the checkpoints of a run's directory" in capsys.readouterr().err
    assert main(["evaluate", str(trained), "--all", "--method", "bracket"]) == 2
    assert "leave --method bracket out" in " ".join(capsys.readouterr().err.split())


def test_evaluate_needs_data_that_fit(tmp_path, trained, capsys):
    model = tmp_path / "model.safetensors"
    rs.Run.open(trained).load().save(model)
    assert main(["evaluate", str(model)]) == 1
    assert "--data" in capsys.readouterr().err
    assert main(["evaluate", str(model), "--data", "bars-and-stripes", "--image-shape", "2x2"]) == 1
    assert "9" in capsys.readouterr().err
    assert main(["evaluate", str(trained), "--image-shape", "2x2"]) == 2
    assert main(["evaluate", str(model), "--data", "bars-and-stripes", "--image-shape", "3x3"]) == 0
    assert main(["evaluate", str(model), "--update", "3", "--data", "mnist"]) == 1


@pytest.mark.parametrize("out", ["", ".npz", "drawn/"])
def test_samples_need_a_name(trained, out, capsys):
    assert main(["sample", str(trained), "--out", out]) == 2
    assert "names no files" in " ".join(capsys.readouterr().err.split())


def test_info_and_bench_report_numbers(tmp_path, capsys):
    assert main(["info", "--json", str(tmp_path / "info.json")]) == 0
    facts = json.loads((tmp_path / "info.json").read_text())
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["engine"] in {"cpu", "cuda", "reference"}
    assert "precision" in capsys.readouterr().out
    words = ["--hidden", "8", "--chains", "4,6", "--visible", "12", "--rounds", "1", "--engine", "reference"]
    assert main(["bench", *words, "--json", str(tmp_path / "bench.json")]) == 0
    sweeps = json.loads((tmp_path / "bench.json").read_text())["sweeps"]
    assert [(s["n_chains"], s["n_visible"], s["n_hidden"]) for s in sweeps] == [(4, 12, 8), (6, 12, 8)]
    assert all(s["best_seconds"] > 0 for s in sweeps)
    assert "flips/ns" in capsys.readouterr().out


def test_a_full_disk_is_one_line(trained, monkeypatch, tmp_path, capsys):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert (
        main(
            [
                "sample",
                str(trained),
                "--method",
                "gibbs",
                "--steps",
                "1",
                "--out",
                str(tmp_path / "s"),
                "--engine",
                "reference",
            ]
        )
        == 1
    )
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "No space left" in message
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_a_real_process_with_130(tmp_path):
    directory = tmp_path / "run"
    words = ["train", "bars-and-stripes", "--hidden", "4", "--epochs", "10000000", "--engine", "reference"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rbmscape", *words, "--out", str(directory)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    deadline = time.monotonic() + 100
    while not (directory / "metrics.jsonl").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "continue with: rbmscape train --resume" in message
    assert "Traceback" not in message
    assert rs.Run.open(directory).updates


def test_evaluate_writes_the_probability_of_every_row(tmp_path, trained, capsys):
    table = tmp_path / "rows.csv"
    assert main(["evaluate", str(trained), "--per-row", str(table)]) == 0
    head, *lines = table.read_text().splitlines()
    assert head == "part,row,log_probability,row_stderr,common_stderr"
    run = rs.Run.open(trained)
    found = [float(line.split(",")[2]) for line in lines]
    data = run.dataset()
    expected = exact_log_likelihood(run.load(), np.concatenate((data.train, data.test)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [line.split(",")[0] for line in lines] == ["train"] * len(data.train) + ["test"] * len(data.test)
    before = table.read_bytes()
    assert main(["evaluate", str(trained), "--per-row", str(table)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert table.read_bytes() == before
    assert main(["evaluate", str(trained), "--per-row", str(table), "--overwrite"]) == 0


def test_sample_completes_the_rows_of_a_file(tmp_path, trained, capsys):
    rows = tmp_path / "rows.csv"
    rows.write_text("1,0,,,1,0,1,0,\n,,,,,,,,\n1,1,1,0,0,0,1,1,1\n")
    words = ["sample", str(trained), "--given", str(rows), "-n", "5", "--seed", "2", "--out", str(tmp_path / "drawn")]
    assert main(words) == 0
    known = np.genfromtxt(rows, delimiter=",")
    expected = rs.conditional_samples(rs.Run.open(trained), known, 5, seed=2)
    assert capsys.readouterr().out.splitlines()[0] == str(expected.verdict)
    with np.load(tmp_path / "drawn.npz") as stored:
        np.testing.assert_array_equal(stored["samples"], expected.v)
        np.testing.assert_array_equal(stored["probability"], expected.probability)
        np.testing.assert_array_equal(stored["missing"], np.isnan(known))
        assert stored["converged"].all()
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_sample_refuses_what_does_not_go_with_given_rows(tmp_path, trained, capsys):
    np.save(tmp_path / "rows.npy", np.zeros((2, 9)))
    words = ["sample", str(trained), "--given", str(tmp_path / "rows.npy"), "--out", str(tmp_path / "x")]
    assert main([*words, "--beta", "0.5"]) == 2
    assert "--given" in capsys.readouterr().err
    assert main(words) == 1
    assert "no missing entries" in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()


def test_a_file_of_other_rows_is_scored_whole(tmp_path, trained, capsys):
    rows = np.random.default_rng(5).integers(0, 2, (30, 9))
    np.save(tmp_path / "other.npy", rows)
    words = ["evaluate", str(trained), "--data", str(tmp_path / "other.npy"), "--json", str(tmp_path / "a.json")]
    assert main(words) == 0
    found = json.loads((tmp_path / "a.json").read_text())["log_likelihood"]
    run = rs.Run.open(trained)
    assert list(found) == ["train", "data"]
    for part, scored in (("train", run.dataset().train), ("data", rows)):
        assert found[part]["value"] == pytest.approx(float(exact_log_likelihood(run.load(), scored).mean()), abs=1e-5)
    assert main([*words, "--test-fraction", "0.5"]) == 0
    assert list(json.loads((tmp_path / "a.json").read_text())["log_likelihood"]) == ["train", "test"]


def test_numbers_are_written_before_they_are_shown(tmp_path, trained, monkeypatch, capsys):
    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setattr("rbmscape.cli.evaluate.print_table", gone)
    monkeypatch.setattr("rbmscape.cli.main._hush", lambda: None)
    assert main(["evaluate", str(trained), "--json", str(tmp_path / "a.json")]) == 1
    assert "log_likelihood" in json.loads((tmp_path / "a.json").read_text())


def test_weighted_spins_with_gaps_are_trained_scored_and_sampled_as_such(tmp_path, capsys):
    rows = 2.0 * rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train - 1
    lines = ["a,b,c,d,e,f,g,h,i,w", *(",".join([*(f"{x:g}" for x in row), "2"]) for row in rows)]
    lines[3] = "," + lines[3].split(",", 1)[1]
    table = tmp_path / "rows.csv"
    table.write_text("\n".join(lines) + "\n")
    run = str(tmp_path / "run")
    loading = ["--weights", "w", "--states", "spins", "--test-fraction", "0"]
    words = ["train", str(table), *SMALL, "--out", run]
    assert main([*words, *loading]) == 1
    assert "missing='marginalize'" in capsys.readouterr().err
    assert main([*words, *loading, "--missing", "marginalize"]) == 0, capsys.readouterr().err
    found = rs.Run.open(run)
    assert found.data["states"] == "spins"
    assert found.data["rows_a_pass"] == 28
    data = found.dataset()
    scores = tmp_path / "scores.json"
    assert main(["evaluate", run, "--json", str(scores), "--per-row", str(tmp_path / "p.csv")]) == 0
    expected = rs.log_probability(found.load(), data)
    told = json.loads(scores.read_text())
    assert told["log_likelihood"]["train"]["value"] == pytest.approx(expected.mean.value, abs=1e-9)
    assert told["audit"]["log_likelihood"]["value"] == pytest.approx(expected.mean.value, abs=1e-9)
    assert main(["sample", run, "-n", "4", "--out", str(tmp_path / "drawn"), "--engine", "reference"]) == 0
    with np.load(tmp_path / "drawn.npz") as stored:
        assert set(np.unique(stored["samples"])) <= {-1, 1}
    gaps = tmp_path / "gaps.csv"
    gaps.write_text("1,-1,,,1,-1,1,-1,1\n")
    assert main(["sample", run, "--given", str(gaps), "-n", "3", "--out", str(tmp_path / "filled")]) == 0
    with np.load(tmp_path / "filled.npz") as stored:
        assert (stored["samples"][:, :, [0, 1, 4]] == [1, -1, 1]).all()
