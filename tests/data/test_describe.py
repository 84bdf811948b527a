"""What is planted in data is found, and nothing is found where nothing is; splits keep groups and shares."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.data.describe import first_concerns
from rbmscape.errors import DataError

BITS = np.random.default_rng(0).integers(0, 2, (300, 20)).astype(np.uint8)


def test_clean_data_raise_no_concern():
    found = rs.describe(rs.load_dataset(np.unique(BITS, axis=0)))
    assert found.concerns == ()
    assert "nothing to look at twice" in repr(found)


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_planted_is_found(tmp_path, packed):
    rows = np.unique(BITS, axis=0)[:200].copy()
    np.random.default_rng(1).shuffle(rows)
    rows[:, 3], rows[:, 5], rows[:, 7] = 1, rows[:, 0], np.arange(200) >= 90
    rows[150] = rows[120]
    test = np.concatenate([rows[[4, 4, 9]], 1 - rows[:1]])
    test[3, 3] = 0
    if packed:
        for name, part in (("train", rows), ("test", test)):
            rs.write_packed(part, tmp_path / f"{name}.npy")
        data = rs.load_dataset(tmp_path / "train.npy", test=tmp_path / "test.npy", n_visible=20)
    else:
        data = rs.Dataset.from_array(rows, test)
    found = rs.describe(data)
    assert found.constant.tolist() == [3]
    assert found.repeated.tolist() == [5]
    assert found.sorted_columns.tolist() == [7]
    assert (found.duplicates_test, found.leaked) == (1, 3)
    assert found.duplicates_train == 200 - len(np.unique(rows, axis=0)) >= 1
    np.testing.assert_array_equal(found.frequencies, rows.mean(0))
    for words in (
        "columns that never change in the training data: 1 (3); leave them out",
        "columns that repeat an earlier one: 1 (5); leave them out",
        "columns that change once from the first row to the last: 1 (7); leave them out",
        "3 of 4 test rows",
    ):
        assert any(words in concern for concern in found.concerns)


def test_few_different_rows_are_said():
    found = rs.describe(rs.Dataset.from_array(np.tile(BITS[:5], (40, 1))))
    assert any("there are 5 different ones" in words for words in found.concerns)


def test_class_shares_and_stratified_splits():
    labels = np.repeat([0, 1, 2], [200, 80, 20])
    data = rs.load_dataset(BITS, labels=labels, stratify=True, test_fraction=0.25)
    shares = rs.describe(data).class_shares
    assert {label: pytest.approx(pair) for label, pair in shares.items()} == {
        0: (150 / 225, 50 / 75), 1: (60 / 225, 20 / 75), 2: (15 / 225, 5 / 75),
    }  # fmt: skip
    both = np.concatenate([data.train, data.test])
    np.testing.assert_array_equal(np.unique(both, axis=0), np.unique(BITS, axis=0))
    with pytest.raises(DataError, match="no labels to keep the shares of"):
        rs.load_dataset(BITS, stratify=True)


def test_groups_stay_together():
    groups = np.random.default_rng(2).integers(0, 20, 300)
    marked = np.hstack([(groups[:, None] >> np.arange(5)) & 1, BITS])
    for seed in range(5):
        data = rs.load_dataset(marked, groups=groups, test_fraction=0.3, seed=seed)
        kept, aside = ({tuple(row[:5]) for row in part} for part in (data.train, data.test))
        assert not kept & aside
        assert abs(len(data.test) - 90) <= np.bincount(groups).max()
        assert len(data.train) + len(data.test) == 300
    with pytest.raises(DataError, match="one group, which cannot be split"):
        rs.load_dataset(BITS, groups=np.zeros(300))
    with pytest.raises(DataError, match=r"groups have shape \(3,\) for 300 rows"):
        rs.load_dataset(BITS, groups=[1, 2, 3])
    with pytest.raises(DataError, match="choose one of them"):
        rs.load_dataset(BITS, groups=groups, stratify=True)


def test_a_split_as_before_for_a_seed():
    data = rs.load_dataset(np.arange(10)[:, None] == np.arange(10), seed=3)
    assert data.test.argmax(1).tolist() == rs.load_dataset(np.eye(10), seed=3).test.argmax(1).tolist()


def test_only_data_sets_are_described():
    with pytest.raises(DataError, match="describe takes a Dataset, found ndarray"):
        rs.describe(BITS)


def test_columns_are_called_by_their_names():
    rows = np.unique(BITS, axis=0)
    rows[:, 2] = 0
    data = rs.load_dataset(rs.Dataset.from_array(rows).train, test_fraction=0)
    named = replace(data, columns=tuple(f"gene {k}" for k in range(20)))
    assert any("never change in the training data: 1 (gene 2)" in words for words in rs.describe(named).concerns)


def test_the_margin_of_images_is_no_concern():
    images = np.zeros((100, 4, 4), dtype=np.uint8)
    images[:, 1:3, 1:3] = BITS[:100, :4].reshape(-1, 2, 2)
    found = rs.describe(rs.Dataset.from_array(images, 1 - images))
    assert len(found.constant) == 12
    assert not any("columns that" in words for words in found.concerns)


def test_a_few_test_rows_that_recur_by_chance_are_no_concern():
    rows = np.random.default_rng(3).integers(0, 2, (600, 40)).astype(np.uint8)
    for seen, is_told in ((2, False), (3, True)):
        test = np.concatenate([rows[:seen], rows[400:]])[:200]
        found = rs.describe(rs.Dataset.from_array(rows[:400], test))
        assert found.leaked == seen
        assert any("occur in the training data" in words for words in found.concerns) == is_told


def test_rare_ones_at_an_end_are_no_index():
    rows = np.unique(BITS, axis=0)[:200].copy()
    np.random.default_rng(4).shuffle(rows)
    rows[:, 0], rows[:, 1] = np.arange(200) >= 196, np.arange(200) >= 195
    assert rs.describe(rs.Dataset.from_array(rows)).sorted_columns.tolist() == [1]


def test_data_too_large_for_a_glance_are_trained_on_unseen(monkeypatch):
    data = rs.Dataset.from_array(np.tile(BITS[:5], (40, 1)))
    assert first_concerns(data) == rs.describe(data).concerns != ()
    monkeypatch.setattr("rbmscape.data.describe._LOOKED_AT", 100)
    assert first_concerns(data) == ()


def test_all_of_it_is_json():
    data = rs.load_dataset(BITS, labels=np.arange(300) % 3)
    record = json.loads(json.dumps(rs.describe(data).record()))
    assert record["class_shares"].keys() == {"0", "1", "2"}
    assert record["n_train"] == 240
    assert len(record["frequencies"]) == 20


def test_rows_of_few_or_rare_answers_repeat_by_chance():
    generator = np.random.default_rng(5)
    for share, width in ((0.5, 8), (0.03, 60)):
        rows = (generator.random((400, width)) < share).astype(np.uint8)
        found = rs.describe(rs.load_dataset(rows))
        assert found.leaked > 20
        assert found.concerns == ()


def test_gaps_are_counted_by_column_and_row():
    rows = np.random.default_rng(5).integers(0, 2, (60, 6)).astype(float)
    rows[:40, 1] = np.nan
    rows[7] = np.nan
    rows[3, 4] = np.nan
    rows[11] = rows[10] = [1, np.nan, 0, 1, 0, 1]
    rows[12] = [1, 0, 0, 1, 0, 1]
    rows[:, 5] = rows[:, 0]
    rows[20, 5] = np.nan
    data = rs.Dataset.from_array(rows[:50], rows[50:], name="gaps", missing="marginalize")
    found = rs.describe(data)
    np.testing.assert_array_equal(found.gaps, np.isnan(rows).sum(0))
    np.testing.assert_array_equal(found.gaps_of_rows, np.isnan(rows).sum(1))
    lines = dict(found.lines())
    assert lines["missing entries"].startswith(f"{np.isnan(rows).sum()}, ")
    assert lines["rows with gaps"].endswith("most in training row 7 (counted from 0): 6 of 6")
    concerns = " ".join(found.concerns)
    assert "missing in more than half of the rows: 1 (1)" in concerns
    assert "1 rows have no known entry" in concerns
    assert found.duplicates_train == len(rows[:50]) - len({row.tobytes() for row in np.nan_to_num(rows[:50], nan=9.0)})
    assert found.repeated.tolist() == []  # equal but for one gap
    assert first_concerns(data) == found.concerns
    assert json.loads(json.dumps(found.record()))["gaps"] == found.gaps.tolist()
    whole = rs.describe(rs.Dataset.from_array(np.nan_to_num(rows[:50])))
    assert whole.gaps.sum() == 0 == whole.gaps_of_rows.sum()
    assert "missing entries" not in dict(whole.lines())


def test_an_incomplete_row_is_refused_with_its_place():
    rows = np.ones((4, 3))
    rows[2, 1] = np.nan
    data = rs.load_dataset(rows, test=np.zeros((2, 3)), missing="marginalize")
    with pytest.raises(DataError, match=r"row 2, column 1 \(counted from 0\) of the training rows"):
        data.complete("a figure")
