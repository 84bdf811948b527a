"""The drawing of docs/conventions.md: x and y, the saddle point, u and w, and the energy along them, of one mode.

    python scripts/conventions_picture.py docs/images

Everything is computed by the package from a small model with one mode, so that the drawing has the package's signs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rbmscape import RBM, Modes, sample
from rbmscape.figures.landscape_panels import point_style, saddle_style
from rbmscape.figures.style import DIVERGING, colour, new_figure, panel_letters, print_style, save_picture
from rbmscape.reciprocal.rotation import AXES

__all__ = ["draw", "model"]

N_VISIBLE, N_HIDDEN, SINGULAR_VALUE = 40, 30, 3.0
REACH = 4.0
STEP = 2.0  # k_B T between contours
COLOURS = {"u": colour(0), "w": colour(1)}


def model() -> RBM:
    """One mode that couples all units alike, with biases that put its saddle away from the mean of its states."""
    left, right = np.full(N_VISIBLE, N_VISIBLE**-0.5), np.full(N_HIDDEN, N_HIDDEN**-0.5)
    return RBM(SINGULAR_VALUE * np.outer(left, right), np.full(N_VISIBLE, -1.3), np.full(N_HIDDEN, -1.3))


@print_style()
def draw(rbm: RBM):
    """The figure; (a) the plane of x and y, (b) sections of the energy through the saddle."""
    modes = Modes.of(rbm)
    figure, ((plane, section),) = new_figure(1, 2, size=(6.6, 3.3))
    _draw_plane(plane, rbm, modes)
    _draw_section(section, modes)
    panel_letters([plane, section])
    return figure


def _saddle(modes: Modes):
    return np.array([float(modes.saddle_x[0]), float(modes.saddle_y[0])])


def _above(modes: Modes, x, y):
    """Energy of the mode above that of its saddle."""
    return modes.mode_energy(0, x, y).numpy() - float(modes.saddle_energy[0])


def _draw_plane(panel, rbm: RBM, modes: Modes) -> None:
    saddle, steps = _saddle(modes), np.linspace(-REACH, REACH, 161)
    x, y = np.meshgrid(saddle[0] + steps, saddle[1] + steps)
    energy = _above(modes, x, y)
    largest = STEP * np.ceil(np.abs(energy).max() / STEP)
    levels = np.arange(-largest, largest + STEP, STEP)
    panel.contourf(x, y, energy, levels=levels, cmap=f"{DIVERGING}_r", alpha=0.6)
    panel.contour(x, y, energy, levels=levels, colors="black", linewidths=0.25, linestyles="solid", alpha=0.5)
    for name, direction in AXES.items():
        end = saddle + REACH * np.array(direction)
        arrow = {"arrowstyle": "-|>", "color": COLOURS[name], "linewidth": 1.8, "shrinkA": 0}
        panel.annotate("", end, saddle, arrowprops=arrow)
        panel.annotate(
            f"${name}$", end, 9 * np.array(direction), textcoords="offset points", color=COLOURS[name], fontsize=12,
            ha="center", va="center",
        )  # fmt: skip
    states = sample(rbm, n_chains=200, n_steps=200, seed=1)
    points = modes.project(states.v, states.h)
    mean = float(points.x[:, 0].mean()), float(points.y[:, 0].mean())
    panel.plot(points.x[:, 0], points.y[:, 0], "o", color="black", markersize=1.5, markeredgewidth=0)
    panel.plot(*mean, **point_style())
    panel.plot(*saddle, **saddle_style())
    _name(panel, "mean of the states", mean, (0.97, 0.05), "right")
    _name(panel, r"saddle $(-b^0\!/\lambda,\ -a^0\!/\lambda)$", tuple(saddle), (0.03, 0.05), "left")
    panel.set(xlim=(x[0, 0], x[0, -1]), ylim=(y[0, 0], y[-1, 0]), aspect="equal")
    panel.set_xlabel(r"$x = U^\top v$")
    panel.set_ylabel(r"$y = V^\top h$")


def _name(panel, words: str, place: tuple[float, float], at: tuple[float, float], side: str) -> None:
    """Words near the rim with a thin line to what they name."""
    panel.annotate(
        words, place, at, textcoords="axes fraction", ha=side, fontsize=7.5, zorder=9,
        arrowprops={"arrowstyle": "-", "linewidth": 0.6, "shrinkB": 4},
        bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.5},
    )  # fmt: skip


def _draw_section(panel, modes: Modes) -> None:
    saddle, distance = _saddle(modes), np.linspace(-REACH, REACH, 101)
    for (name, direction), style, words in zip(AXES.items(), ("-", "--"), ("falls: $-", "rises: $+"), strict=True):
        energy = _above(modes, saddle[0] + direction[0] * distance, saddle[1] + direction[1] * distance)
        panel.plot(distance, energy, style, color=COLOURS[name])
        label = rf"along ${name}$ it {words}\lambda {name}^2/2$"
        panel.text(0, 0.9 * energy[0], label, color=COLOURS[name], ha="center", va="center")
    panel.axhline(0.0, color="0.7", linewidth=0.6, zorder=0)
    panel.plot(0, 0, **saddle_style())
    panel.set_xlabel("distance from the saddle along $u$ or $w$")
    panel.set_ylabel("energy above the saddle's, $k_BT$")


if __name__ == "__main__":
    _, for_print = save_picture(draw(model()), Path(sys.argv[1]), "conventions")
    for_print.unlink()
