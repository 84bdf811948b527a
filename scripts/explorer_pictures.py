"""Pictures of the explorer for the documentation, and a mode's well that becomes two as an animation.

    python scripts/explorer_pictures.py RUN docs/images/explorer

RUN is a finished run on images.  Playwright drives the Chromium that is on the PATH.
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from rbmscape.explorer.catalogue import open_path
from rbmscape.explorer.server import ExplorerServer

VIEWS = ("training", "landscape", "symmetry", "spectrum", "hierarchy", "diffusion", "play")
WIDTH, HEIGHT = 1100, 860
PHONE = (390, 780)
COLOURS = 128


def main(run: str, folder: Path) -> None:
    """Every view in light, one in dark, one on a phone, and the animation."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ExplorerServer(open_path(run), port=0)
    server.start()
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            for view in VIEWS:
                shown(page, server, f"view={view}")
                save(page.screenshot(), folder / f"{view}.png")
            animate(page, server, folder / "wells.gif")
            dark = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
            shown(dark, server, "view=landscape&panels=4")
            save(dark.screenshot(), folder / "dark.png")
            phone = chromium.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
            shown(phone, server, "view=landscape")
            phone.evaluate("document.querySelector('#controls').scrollIntoView()")
            save(phone.screenshot(), folder / "phone.png")
            chromium.close()
    finally:
        server.close()


def shown(page, server, words):
    """A state, once everything is computed."""
    page.goto("about:blank")
    page.goto(f"{server.url}#{words}")
    until(page, "!!window.rbmscape?.ready && document.querySelector('#progress').textContent === ''")
    until(page, "!document.querySelector('#stage').classList.contains('waiting')")
    page.wait_for_timeout(800)


def until(page, expression, seconds=900):
    """Wait until an expression is true."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise SystemExit(f"{expression} did not come true")
        time.sleep(0.05)


def animate(page, server, path):
    """The free energy of the first mode at every checkpoint."""
    shown(page, server, "view=symmetry&held=0&update=0")
    count = page.evaluate("Number(document.querySelector('#timeline').max)")
    frames = []
    for number in range(count + 1):
        until(page, f"window.rbmscape.redraws.length >= {number + 1}")
        page.wait_for_timeout(150)
        pictures = [page.locator(f"#panel-{name}").screenshot() for name in ("wells", "density")]
        frames.append(beside([Image.open(io.BytesIO(one)).convert("RGB") for one in pictures]))
        page.keyboard.press("ArrowRight")
    size = max(one.width for one in frames), max(one.height for one in frames)
    same = [Image.new("RGB", size, "white") for _ in frames]
    for ground, one in zip(same, frames, strict=True):
        ground.paste(one, (0, 0))
    small = [one.quantize(COLOURS) for one in same]
    small[0].save(path, save_all=True, append_images=small[1:], duration=[500] * count + [2500], loop=0)


def beside(pictures):
    """Pictures in one row."""
    wide, high = sum(one.width for one in pictures), min(330, max(one.height for one in pictures))
    result, left = Image.new("RGB", (wide, high), "white"), 0
    for one in pictures:
        result.paste(one, (left, 0))
        left += one.width
    return result


def save(content, path):
    """A palette is enough for charts, and a third of the bytes."""
    Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
