"""The explorer in Chromium: every view appears without a complaint, knobs act, addresses lead back."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.browser

VIEWS = ("training",)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_appears_and_its_address_leads_back(look, image_run, view):
    page = look(image_run.directory, f"view={view}&update=0")
    page.settled(view, 0)
    first = page.picture()
    page.page.keyboard.press("ArrowRight")
    page.shown(view, image_run.updates[1])
    assert page.picture() != first, "the timeline changes the picture"
    assert f"update={image_run.updates[1]}" in page.page.url
    page.page.keyboard.press("ArrowLeft")
    page.shown(view, 0)
    assert page.picture() == first
    again = look(image_run.directory, page.page.url.split("#")[1])
    again.settled(view, 0)
    assert again.picture() == first


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_data_without_images_fits_a_phone(look, plain_run, view):
    page = look(plain_run.directory, f"view={view}", width=360, height=640)
    page.shown(view)
    wide = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1] == 360
    assert page.page.locator("#stage svg, #stage canvas").count() > 0


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
