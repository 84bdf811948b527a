"""Spins, missing entries and weights: read as such, kept with their rows, refused where they cannot be meant."""

from __future__ import annotations

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.data.kinds import MISSING
from rbmscape.data.weighting import multiplicities, represented, rows_a_pass
from rbmscape.errors import DataError

BITS = np.random.default_rng(0).integers(0, 2, (40, 5))


def test_spins_become_bits_and_are_known_as_spins(tmp_path):
    dataset = rs.load_dataset(2 * BITS - 1, states="spins", test_fraction=0.25, seed=4)
    plain = rs.load_dataset(BITS, test_fraction=0.25, seed=4)
    assert (dataset.train == plain.train).all()
    assert dataset.fingerprint == plain.fingerprint
    assert dataset.states == "spins"
    assert "5 spins" in repr(dataset)
    np.savetxt(tmp_path / "s.csv", 2 * BITS - 1, fmt="%d", delimiter=",")
    again = rs.load_dataset(tmp_path / "s.csv", states="spins", test_fraction=0.25, seed=4)
    assert (again.train == plain.train).all()
    assert rs.load_dataset(again.origin["source"], **again.origin["options"]).states == "spins"


def test_what_are_no_spins_is_refused_and_spins_are_proposed():
    with pytest.raises(DataError, match="the value 0 at row 0, column 1"):
        rs.Dataset.from_array([[1, 0], [-1, 1]], states="spins")
    with pytest.raises(DataError, match="states='spins'"):
        rs.Dataset.from_array([[1, -1], [-1, 1]])
    with pytest.raises(DataError, match="choose 'bits' or 'spins'"):
        rs.Dataset.from_array(BITS, states="potts")
    with pytest.raises(DataError, match="no threshold"):
        rs.Dataset.from_array([[1, -1]], states="spins", threshold=0.0)


def test_missing_entries_are_kept_only_when_asked():
    gaps = BITS.astype(float)
    gaps[3, 2] = np.nan
    with pytest.raises(DataError, match=r"row 3, column 2 .*missing='marginalize'"):
        rs.Dataset.from_array(gaps)
    dataset = rs.Dataset.from_array(gaps, missing="marginalize")
    assert dataset.has_missing
    assert dataset.train[3, 2] == MISSING
    assert (np.delete(dataset.train, 3, 0) == np.delete(BITS, 3, 0)).all()
    masked = rs.Dataset.from_array(np.ma.array(BITS, mask=np.isnan(gaps)), missing="marginalize")
    assert masked.fingerprint == dataset.fingerprint
    spins = rs.Dataset.from_array(2 * gaps - 1, missing="marginalize", states="spins")
    assert (spins.train == dataset.train).all()
    filled = rs.Dataset.from_array(np.where(np.isnan(gaps), 1, gaps), missing="marginalize")
    assert not filled.has_missing
    assert filled.fingerprint != dataset.fingerprint
    assert dataset.mean[2] == pytest.approx(np.nanmean(gaps[:, 2]))
    with pytest.raises(DataError, match="255"):
        rs.Dataset.from_array(dataset.train)


def test_whatever_expects_bits_refuses_missing_entries():
    gaps = np.where(np.eye(5, dtype=bool), np.nan, 1.0)
    dataset = rs.Dataset.from_array(gaps, missing="marginalize")
    rbm = rs.RBM.random(5, 3)
    for call in (
        lambda: rs.log_likelihood(rbm, dataset),
        lambda: rs.linear_growth(dataset),
        lambda: rs.quality(rbm, dataset),
        lambda: rs.likelihood_bracket(rbm, dataset, 10, 10),
        lambda: rbm.free_energy(dataset.train),
        lambda: rs.sample(rbm, 5, 1, start=dataset.train),
    ):
        with pytest.raises(rs.RbmscapeError):
            call()


def test_weights_stay_with_their_rows(tmp_path):
    weights = np.arange(40.0) + 0.5
    dataset = rs.load_dataset(BITS, weights=weights, test_fraction=0.25, seed=3)
    order = rs.load_dataset(np.arange(40)[:, None] % 2, labels=np.arange(40), test_fraction=0.25, seed=3)
    assert (dataset.train_weights == weights[order.train_labels]).all()
    assert (dataset.test_weights == weights[order.test_labels]).all()
    assert dataset.fingerprint != rs.load_dataset(BITS, test_fraction=0.25, seed=3).fingerprint
    assert (dataset.limited(5).train_weights == dataset.train_weights[:5]).all()
    table = np.column_stack((BITS, weights))
    header = "a,b,c,d,e,w"
    np.savetxt(tmp_path / "t.csv", table, delimiter=",", header=header, comments="")
    np.savetxt(tmp_path / "n.csv", table, delimiter=",")
    np.savez(tmp_path / "t.npz", samples=BITS, w=weights)
    for name, column in (("t.csv", "w"), ("n.csv", 5), ("n.csv", -1), ("t.npz", "w")):
        found = rs.load_dataset(tmp_path / name, weights=column, test_fraction=0.25, seed=3)
        assert found.fingerprint == dataset.fingerprint, name
        assert rs.load_dataset(found.origin["source"], **found.origin["options"]).fingerprint == dataset.fingerprint


def test_equal_rows_are_merged_into_weights():
    dataset = rs.Dataset.from_array(BITS % 2 * np.array([1, 1, 0, 0, 0]))
    merged = dataset.merged()
    assert len(merged.train) == 4
    assert merged.train_weights.sum() == 40
    assert merged.rows_a_pass == 40
    rows = represented(merged.train, merged.train_weights)
    assert (np.sort(rows, axis=0) == np.sort(dataset.train, axis=0)).all()
    loaded = rs.load_dataset(BITS % 2 * np.array([1, 1, 0, 0, 0]), weights="duplicates", test_fraction=0)
    assert loaded.fingerprint == merged.fingerprint


def test_rows_stand_in_a_pass_as_often_as_they_count():
    whole = np.array([2.0, 0, 1, 3])
    assert all(multiplicities(whole, u).tolist() == [2, 0, 1, 3] for u in (0.0, 0.3, 0.999))
    weights = np.random.default_rng(5).exponential(size=30)
    scaled = weights * 30 / weights.sum()
    assert rows_a_pass(weights, 30) == 30
    offsets = (np.arange(4000) + 0.5) / 4000
    counts = np.array([multiplicities(weights, u) for u in offsets])
    assert (counts.sum(1) == 30).all()
    assert (np.abs(counts - scaled) < 1).all()
    np.testing.assert_allclose(counts.mean(0), scaled, atol=2 / 4000)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0] * 3, "one weight a row"),
        ([-1.0] + [1.0] * 39, "row 0"),
        ([np.nan] * 40, "row 0"),
        ([0] * 40, "all"),
        ([1e9] * 40, "stand for 4e.10 rows"),
        ([1e308] * 40, "divide them"),
        ([5e-324] * 40, "divide them"),
        ([10**400] * 40, "numbers"),
    ],
)
def test_impossible_weights_are_refused(weights, words):
    with pytest.raises(DataError, match=words):
        rs.Dataset.from_array(BITS, train_weights=weights)


def test_a_part_of_the_data_without_weight_is_refused():
    weights = np.r_[np.zeros(39), 1.0]
    data = rs.Dataset.from_array(BITS, BITS, train_weights=weights, test_weights=weights)
    for few in ({"n_train": 3}, {"n_test": 3}):
        with pytest.raises(DataError, match=r"all 3 .* rows have the weight 0"):
            data.limited(**few)
    with pytest.raises(DataError, match=r"all .* rows have the weight 0"):
        rs.load_dataset(BITS, weights=weights)
    assert data.limited(n_test=0).test_weights is not None


@pytest.mark.parametrize("threshold", [-3, 300])
def test_any_threshold_may_stand_beside_masked_bytes(threshold):
    masked = np.ma.masked_array(np.full((4, 3), 7, dtype=np.uint8), mask=np.eye(4, 3))
    data = rs.Dataset.from_array(masked, threshold=threshold, missing="marginalize")
    np.testing.assert_array_equal(data.train, np.where(masked.mask, MISSING, int(threshold < 7)))


def test_unknown_columns_of_weights_are_refused(tmp_path):
    np.savetxt(tmp_path / "t.csv", BITS, delimiter=",", header="a,b,c,d,e", comments="")
    with pytest.raises(DataError, match="no column 'w'"):
        rs.load_dataset(tmp_path / "t.csv", weights="w")
    with pytest.raises(DataError, match="names a column"):
        rs.load_dataset(BITS, weights="w")
