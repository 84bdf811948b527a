"""Cards for notebooks: what they show, words escaped, in the colours of the page."""

from __future__ import annotations

import base64
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cards import card, curve, image_shape_of, images

VOID = {"img", "polyline"}


class Balanced(HTMLParser):
    """Collects text and tags, and asserts that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.tags = [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def parsed(html):
    found = Balanced()
    found.feed(html)
    found.close()
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = rs.load_dataset("bars-and-stripes")
    data = rs.load_dataset(data.train.repeat(4, axis=0), test_fraction=0.2)
    place = tmp_path_factory.mktemp("cards") / "<img src=x onerror=alert(1)>"
    return rs.train(data, rs.TrainingConfig(n_hidden=6, epochs=20), place, progress=False)


def results(run):
    return {
        "RBM": run.load(),
        "Run": run,
        "Samples": rs.sample(run, n_chains=20, seed=1),
        "Modes": rs.Modes.of(run.load()),
    }


@pytest.mark.parametrize("kind", ["RBM", "Run", "Samples", "Modes"])
def test_cards_are_whole_and_fit_light_and_dark_pages(run, kind):
    html = results(run)[kind]._repr_html_()
    found = parsed(html)
    assert found.words.startswith(kind)
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb\(|\bwhite\b|\bblack\b|<script|https?:", html)
    assert len(html) < 20_000
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == {"RBM": 6, "Run": 0, "Samples": 8, "Modes": 6}[kind]
    assert all(attributes["alt"] for attributes in pictures)
    drawn = [attributes for tag, attributes in found.tags if tag == "polyline"]
    assert len(drawn) == (kind != "Samples")
    assert all(attributes["stroke"] == "currentColor" for attributes in drawn)


def test_words_from_outside_are_escaped(run):
    html = run._repr_html_()
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    hostile = "</div><script>alert('x')</script>"
    found = parsed(
        card(hostile, {hostile: hostile}, curve([0, 1], [1, 2], hostile), images(np.eye(16)[:2], (4, 4), "'" + hostile))
    )
    assert "script" not in {tag for tag, _ in found.tags}
    assert found.words.count("<script>") == 5


def test_a_curve_shows_its_numbers():
    found = parsed(curve([0, 1, 2, 3], [1.0, float("nan"), 5.0, 2.0], "score"))
    (points,) = [attributes["points"] for tag, attributes in found.tags if tag == "polyline"]
    places = np.array([[float(value) for value in pair.split(",")] for pair in points.split()])
    assert places.shape == (3, 2)
    assert places[:, 1].argmin() == 1  # the largest value stands highest
    assert np.allclose((places[1, 0] - places[0, 0]) / (places[2, 0] - places[0, 0]), 2 / 3, atol=0.01)
    assert "score: 1 to 2" in found.words
    assert curve([0], [1.0], "score") == ""


def test_a_picture_holds_its_pixels():
    row = np.array([[0.0, 1.0, 0.5, 0.0, 0.25, 1.0]])
    source = re.search(r"base64,([^']+)'", images(row, (2, 3), "row"))[1]
    png = base64.b64decode(source)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    length = int.from_bytes(png[33:37], "big")
    grey = np.frombuffer(zlib.decompress(png[41 : 41 + length]), np.uint8).reshape(2, 4)
    assert (grey[:, 0] == 0).all()
    assert np.array_equal(grey[:, 1:], [[0, 255, 128], [0, 64, 255]])
    signed = re.search(r"base64,([^']+)'", images(-row, (2, 3), "row"))[1]
    assert signed != source


@pytest.mark.parametrize(("n_units", "shape"), [(784, (28, 28)), (16, (4, 4)), (15, None), (4, None), (17, None)])
def test_squares_are_images(n_units, shape):
    assert image_shape_of(n_units) == shape
    assert image_shape_of(6, (2, 3)) == (2, 3)


def test_what_is_no_image_and_what_is_gone_still_have_cards(run):
    assert "<img" not in rs.RBM.random(15, 3)._repr_html_()
    assert "RBM" in rs.RBM(torch.zeros(16, 2), torch.zeros(16), torch.zeros(2))._repr_html_()
    data = rs.load_dataset("bars-and-stripes")
    short = rs.train(data, rs.TrainingConfig(n_hidden=2, epochs=0), progress=False)
    assert "Run" in parsed(short._repr_html_()).words
