"""The explorer in Chromium: every view appears without a complaint, knobs act, addresses lead back."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.explorer.conftest import tiny_recipe

import rbmscape as rs
from rbmscape.explorer.live import live_catalogue
from rbmscape.explorer.server import ExplorerServer
from rbmscape.symmetry.hierarchy import mode_rotation, rotated_field

pytestmark = pytest.mark.browser

VIEWS = ("training", "landscape", "symmetry", "spectrum", "hierarchy", "diffusion", "play")
MOVING = "play"
KNOBS = [
    ("landscape", "mode", "2"), ("landscape", "panels", "4"), ("symmetry", "mode", "2"), ("symmetry", "held", "1"),
    ("spectrum", "scale", "linear"), ("hierarchy", "first", "4"), ("hierarchy", "second", "5"),
    ("hierarchy", "angle", "90"),
    ("diffusion", "kind", "entropic"), ("diffusion", "mode", "3"), ("diffusion", "temperature", "2"),
    ("diffusion", "seed", "3"),
    ("diffusion", "time", "0"), ("play", "start", "3"),
]  # fmt: skip


def turn(page, knob, value):
    page.page.evaluate(
        "([id, value]) => { const k = document.getElementById(id); k.value = value;"
        " k.dispatchEvent(new Event('input', { bubbles: true })); }",
        [knob, value],
    )


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_follows_the_timeline_and_its_address_leads_back(look, image_run, view):
    page = look(image_run.directory, f"view={view}&update=0")
    page.settled(view, 0)
    first = page.picture()
    page.page.keyboard.press("ArrowRight")
    page.shown(view, image_run.updates[1])
    assert page.picture() != first, "the timeline changes the picture"
    assert f"update={image_run.updates[1]}" in page.page.url
    page.page.keyboard.press("ArrowLeft")
    page.shown(view, 0)
    if view != MOVING:
        assert page.picture() == first
        again = look(image_run.directory, page.page.url.split("#")[1])
        again.settled(view, 0)
        assert again.picture() == first


def test_every_knob_changes_the_picture_and_the_address(look, image_run):
    last = image_run.last_update
    for view, group in itertools.groupby(KNOBS, key=lambda row: row[0]):
        page = look(image_run.directory, f"view={view}&update={last}")
        page.settled(view, last)
        for _, knob, value in group:
            before = page.picture()
            turn(page, knob, value)
            page.shown(view, last)
            page.page.wait_for_timeout(60)
            assert page.picture() != before, (view, knob)
            if knob != "time":
                assert f"{knob}={value}" in page.page.url


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_data_without_images_fits_a_phone(look, plain_run, view):
    page = look(plain_run.directory, f"view={view}", width=360, height=640)
    page.shown(view)
    content, width = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert content <= width == 360
    assert page.page.locator("#stage svg, #stage canvas").count() > 0
    assert page.page.locator("#message").inner_text() == ""


def test_the_knob_of_rotations_turns_as_the_package_does(look, serve, image_run):
    """The change of rank 2 in the browser against `rotated_field` of the whole rotation."""
    page = look(image_run.directory, "view=hierarchy&update=-1")
    page.settled("hierarchy", image_run.last_update)
    subject = serve(image_run.directory).catalogue.subject("")
    angle = 1.1
    fields = page.page.evaluate(
        """async (angle) => {
            const { ask } = await import("/static/ask.js"), { turned } = await import("/static/views/hierarchy.js");
            return [...turned(await ask("hierarchy", { update: -1 }), 0, 2, angle)];
        }""",
        angle,
    )
    frame = subject.frame("hierarchy", -1)
    leading = subject.gauge.at(image_run.last_update)
    modes = rs.Modes.of(subject.load(image_run.last_update)).aligned_to(leading, leading=leading.n_paired)
    h = frame["hidden"]
    for sign, agrees in ((1, True), (-1, False)):
        rotation = mode_rotation(modes.n_visible, [(0, 2)], sign * angle)
        wanted = rotated_field(subject.load(image_run.last_update), modes, h, rotation, pixels=False).numpy()
        assert np.allclose(fields, wanted.ravel(), atol=2e-4) is agrees


@pytest.mark.statistical
def test_the_clamped_sampler_draws_from_the_conditional_distribution(look, plain_run):
    """Means of 20 000 steps against the sum over all states; false alarm below 1e-6, numbers from a fixed generator."""
    page = look(plain_run.directory)
    rbm = rs.RBM.random(4, 3, std=1.0, seed=3)
    held, beta = [2, 0, 0, 1], 0.7
    states = np.array([v for v in itertools.product((0, 1), repeat=4) if v[0] == 1 and v[3] == 0], float)
    hidden = np.array(list(itertools.product((0, 1), repeat=3)), float)
    energy = np.stack([rbm.energy(np.tile(v, (8, 1)), hidden).numpy() for v in states])
    weight = np.exp(-beta * energy).sum(1)
    exact = weight @ states / weight.sum()
    means = np.array(
        page.page.evaluate(
            """async ([weights, a, b, held, beta]) => {
            const { made, gibbs } = await import("/static/views/play.js");
            let seed = 12345;
            const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 4294967296;
            const f = (values) => ({ values: Float32Array.from(values), shape: [4, 3] });
            const one = made({ weights: f(weights), visible_bias: f(a), hidden_bias: f(b), start: null });
            const v = new Uint8Array(4), found = [];
            for (let batch = 0; batch < 40; batch++) {
                const sum = [0, 0, 0, 0];
                for (let k = 0; k < 500; k++) {
                    gibbs(one, v, held, beta, random);
                    v.forEach((x, i) => sum[i] += x / 500);
                }
                found.push(sum);
            }
            return found;
        }""",
            [rbm.weights.ravel().tolist(), rbm.visible_bias.tolist(), rbm.hidden_bias.tolist(), held, beta],
        )
    )
    error = means.std(0, ddof=1) / math.sqrt(len(means))
    assert np.allclose(means[:, [0, 3]], [1.0, 0.0])
    free = [1, 2]
    assert (error[free] < 0.01).all()
    assert (np.abs(means.mean(0) - exact)[free] < 6 * error[free]).all()
    wrong = np.exp(-energy).sum(1) @ states / np.exp(-energy).sum()
    assert (np.abs(means.mean(0) - wrong)[free] > 6 * error[free]).any(), "another temperature would be found"


def test_drawing_holds_units(look, image_run):
    page = look(image_run.directory, "view=play")
    page.shown("play")
    box = page.page.locator("#panel-play canvas").bounding_box()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120, steps=6)
    page.page.mouse.up()
    page.until("window.rbmscape.play.held.some((x) => x === 2)")
    page.until("window.rbmscape.play.v.every((x, i) => window.rbmscape.play.held[i] !== 2 || x === 1)")
    page.page.click("#release")
    assert page.page.evaluate("window.rbmscape.play.held.every((x) => x === 0)")


def test_pointing_at_a_state_shows_it(look, image_run):
    page = look(image_run.directory, "view=landscape")
    page.settled("landscape", image_run.last_update)
    box = page.page.locator("#panel-landscape-0 svg").first.bounding_box()
    for k in range(4, 60):
        page.page.mouse.move(box["x"] + box["width"] * (0.1 + 0.8 * (k % 12) / 12), box["y"] + box["height"] * k / 64)
        page.page.wait_for_timeout(20)
        if page.page.locator("#tip canvas").count():
            break
    page.until("!document.querySelector('#tip').hidden && document.querySelectorAll('#tip canvas').length === 1", 5)


def test_pictures_and_data_are_downloaded(look, image_run, tmp_path):
    import xarray as xr

    page = look(image_run.directory, "view=spectrum")
    page.settled("spectrum", image_run.last_update)
    found = {}
    for kind in ("SVG", "PNG", "CSV", "netCDF"):
        with page.page.expect_download() as waiting:
            page.page.get_by_role("button", name=f"as {kind}").click()
        found[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(found[kind])
        page.page.wait_for_timeout(200)
    assert found["SVG"].read_text().startswith("<svg")
    assert "rgb(" in found["SVG"].read_text()
    assert found["PNG"].read_bytes()[:4] == b"\x89PNG"
    values = xr.load_dataset(found["netCDF"], engine="h5netcdf").singular_value.values
    exact = np.linalg.svd(image_run.load(averaged=False).weights.numpy(), compute_uv=False)
    assert np.allclose(values, exact, rtol=1e-4)
    assert "singular_value" in found["CSV"].read_text()


def test_every_view_is_downloaded_as_a_picture(look, named_run):
    """As CSV and netCDF as well: tests/explorer/test_views.py."""
    page = look(named_run.directory)
    kinds = (("SVG", "svg", b"<svg"), ("PNG", "png", b"\x89PNG"))
    for number, view in enumerate(VIEWS, start=1):
        page.page.keyboard.press(str(number))
        page.shown(view)
        for kind, ending, start in kinds:
            with page.page.expect_download(lambda one, end=ending: one.suggested_filename.endswith(end)) as waiting:
                page.page.get_by_role("button", name=f"as {kind}").click()
            content = Path(waiting.value.path()).read_bytes()
            assert content.startswith(start), (view, kind)
            assert len(content) > 300, (view, kind)


def test_bad_addresses_get_a_message(look, image_run):
    for words, expected in (("update=7777", "no checkpoint at update 7777"), ("view=nothing", "no view nothing")):
        page = look(image_run.directory, words)
        page.until(f"document.querySelector('#message').textContent.includes('{expected}')")


def test_names_are_never_markup(look, plain_run, tmp_path):
    """A directory may be called anything."""
    name = "<img src=x onerror=window.hit=1>&amp;"
    shutil.copytree(plain_run.directory, tmp_path / name)
    page = look(tmp_path / name)
    page.shown("training")
    assert name in page.page.locator("#title").inner_text()
    assert name in page.page.title()
    assert page.page.evaluate("[window.hit === undefined, document.querySelectorAll('img').length]") == [True, 0]


def test_light_and_dark_differ(look, image_run):
    page = look(image_run.directory)
    page.shown("training")
    light = page.picture()
    page.page.keyboard.press("d")
    assert page.picture() != light


def test_a_second_tab_disturbs_nothing(look, image_run):
    first = look(image_run.directory, "view=landscape&update=0")
    first.settled("landscape", 0)
    before = first.picture()
    second = look(image_run.directory, "view=spectrum")
    second.shown("spectrum")
    second.page.keyboard.press("ArrowLeft")
    second.shown("spectrum", image_run.updates[-2])
    assert first.picture() == before
    assert "update=0" in first.page.url


def test_a_training_is_alive_and_is_followed(chromium, tmp_path, monkeypatch):
    """Without an argument: the first picture, then another one by itself, without a touch."""
    from tests.browser.conftest import Watched

    recipe = rs.TrainingConfig(n_hidden=16, epochs=3, batch_size=250, n_chains=50, gibbs_steps=1, averaging=0)
    monkeypatch.setattr("rbmscape.explorer.live.live_recipe", lambda: recipe)
    monkeypatch.setattr("rbmscape.explorer.live.N_TRAIN", 2500)
    server = ExplorerServer(live_catalogue(tmp_path), port=0)
    server.start()
    try:
        page = Watched(chromium.new_page(), server)
        page.page.goto(server.url)
        page.until("!!window.rbmscape?.ready")
        page.until("document.querySelector('#when').textContent.startsWith('update 30,')")
        page.until("String(window.rbmscape.shown).startsWith('training 30 ')")
        assert [error for error in page.errors if "400" not in error] == [], "before the first checkpoint it says so"
        page.page.close()
    finally:
        server.close()


def test_the_ledger_of_a_study_leads_to_the_views(chromium, image_run, tmp_path):
    from tests.browser.conftest import Watched

    from rbmscape.explorer.catalogue import Catalogue

    rows = [("<b>bold</b> claim", "holds", "landscapes"), ("two wells", "fails", "landau_wells")]
    names = ("statement", "verdict", "figure", "section", "measured")
    claims = [dict(zip(names, (*row, "3", "0.5"), strict=True)) for row in rows]
    record = {"study": "s", "counts": {"holds": 1}, "claims": claims}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "claims.json").write_text(json.dumps(record))
    server = ExplorerServer(Catalogue("study", lambda: {"one": image_run, "two": image_run}, tmp_path), port=0)
    server.start()
    try:
        page = Watched(chromium.new_page(), server).open("view=ledger")
        page.shown("ledger")
        assert "<b>bold</b> claim" in page.page.inner_text("#stage")
        assert page.page.locator("#run option").count() == 2
        page.page.get_by_role("button", name="Show symmetry").click()
        page.shown("symmetry")
        assert page.errors == []
        page.page.close()
    finally:
        server.close()


@pytest.fixture(scope="session")
def named_run(tmp_path_factory):
    """A run on a table with a header, one name of which is markup."""
    place = tmp_path_factory.mktemp("named")
    pattern = np.arange(6) < 3
    rows = pattern ^ (np.random.default_rng(0).random((300, 1)) < 0.5)
    names = ["alpha", "beta", "<b>bold</b>", "a rather long name of a column", "epsilon", "zeta"]
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows.astype(int))]
    (place / "table.csv").write_text("\n".join(lines) + "\n")
    return rs.train(
        rs.load_dataset(place / "table.csv"), tiny_recipe(n_hidden=5, batch_size=50), place / "run", progress=False
    )


@pytest.mark.parametrize("view", ["training", "hierarchy", "diffusion", "play"])
def test_units_that_are_no_pixels_are_called_by_their_names(look, named_run, view):
    page = look(named_run.directory, f"view={view}")
    page.shown(view)
    where = "#panel-play button" if view == "play" else "#stage svg.table text"
    words = [text.split("\n")[0] for text in page.page.locator(where).all_text_contents()]
    for name in ("alpha", "<b>bold</b>", "zeta"):
        assert any(text.startswith(name) for text in words), (name, words)
    assert page.page.locator("#stage b").count() == 0, "a name is never markup"


def test_a_click_on_a_name_holds_its_unit(look, named_run):
    page = look(named_run.directory, "view=play")
    page.shown("play")
    button = page.page.get_by_role("button", name="alpha")
    for held, value in ((2, 1), (1, 0)):
        button.click()
        page.until(f"window.rbmscape.play.held[0] === {held} && window.rbmscape.play.v[0] === {value}")
        page.until(f"document.querySelector('#panel-play meter').value === {value}")
    button.click()
    page.until("window.rbmscape.play.held[0] === 0")


def test_pointing_at_a_state_without_image_names_the_units_that_are_on(look, named_run):
    page = look(named_run.directory, "view=landscape")
    page.settled("landscape", named_run.last_update)
    words = page.page.evaluate(
        """async () => {
            const { single } = await import("/static/images.js");
            return [[1, 0, 1], [0, 0, 0]].map((state) => single(state, null, ["a", "b", "c"]).textContent);
        }"""
    )
    assert words == ["On: a, c", "All units are off"]


def test_the_density_along_the_training_can_be_chosen(look, named_run):
    page = look(named_run.directory, "view=symmetry")
    page.settled("symmetry", named_run.last_update)
    pictures = []
    for chosen in ("data", "mean", "samples"):
        turn(page, "spread", chosen)
        page.shown("symmetry")
        pictures.append(page.picture("#panel-along-u"))
        assert (page.page.locator("#panel-along-u .strip").count() > 0) is (chosen != "mean")
    assert len(set(pictures)) == 3
