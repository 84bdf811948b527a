"""Where the paper is inconsistent, what this package does instead, and the measured evidence for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from rbmscape.report import errata_checks as checks
from rbmscape.report import errata_potential as potential
from rbmscape.report.findings import Check

if TYPE_CHECKING:
    from rbmscape.report.evidence import Evidence

__all__ = ["ERRATA", "Erratum", "run_checks"]


@dataclass(frozen=True, slots=True)
class Erratum:
    """One inconsistency.

    Attributes
    ----------
    key : short name
    where : place in the paper
    printed : what stands there
    implemented : what this package uses
    tests : tests that would fail with the printed form
    check : computes the evidence
    of_study : the evidence comes from the study at hand
    """

    key: str
    where: str
    printed: str
    implemented: str
    tests: tuple[str, ...]
    check: Callable[[Evidence | None], Check]
    of_study: bool = False


_OWN = "tests/report/test_errata.py::test_numbers_tell_the_printed_form_from_ours"

ERRATA: tuple[Erratum, ...] = (
    Erratum(
        "rotation-signs", "(22)", "δ-functions with u ∝ Uv - Vh and w ∝ Uv + Vh",
        "u ∝ Uv + Vh and w ∝ -Uv + Vh, as (26d, e) and (18) have them",
        ("tests/reciprocal/test_modes.py::test_wrong_sign_of_w_is_noticed", _OWN), checks.rotation_signs,
    ),
    Erratum(
        "rate-factor", "(33) to (37), after (48)", "Γ = 𝓔/2D, Γ = β𝓔/2", "Γ = 2D𝓔, a factor 4 at β = 1",
        ("tests/diffusion/test_fokker_planck.py::test_relaxation_rate_is_twice_d_times_the_energy_not_the_printed_one",
         _OWN), checks.relaxation_rate,
    ),
    Erratum(
        "unpaired-bosons", "(40)", "third range i = 2M + 1, ..., N", "2M + 1, ..., N + M: there are N + M bosons",
        ("tests/diffusion/test_bosons.py::test_uniform_reference_gives_equation_40", _OWN), potential.unpaired_bosons,
    ),
    Erratum(
        "unpaired-centre", "(41)", "third case 2M + 1, ..., N with βa_i", "2M + 1, ..., N + M with βa0_i",
        (_OWN,), checks.unpaired_centre,
    ),
    Erratum(
        "boson-matrix", "(44)", "M with ω_i k_ij off the diagonal, called symmetric",
        "its symmetric part, which is exactly (A/2)² with A the Hessian of βU_eff",
        ("tests/diffusion/test_bosons.py::test_schrodinger_matrix_is_the_symmetric_part_of_the_printed_one", _OWN),
        checks.boson_matrix,
    ),
    Erratum("gaussian-norm", "(45)", "(2π)^(N/2)", "(2π)^((N+M)/2)", (_OWN,), checks.gaussian_norm),
    Erratum(
        "constraint-inverse", "(46)", "1/k_ij = ¼ δ_ij", "(k⁻¹)_ij = ¼ δ_ij", (_OWN,), checks.constraint_inverse
    ),
    Erratum(
        "unstable-spectrum", "after (48)", "the eigenvalues become negative",
        "the operator is not negative; for ω < 0 its levels are |ω|(n + 1) and the stationary state is lost",
        ("tests/diffusion/test_fokker_planck.py::test_unstable_mode_has_the_spectrum_of_the_mirrored_oscillator", _OWN),
        checks.unstable_spectrum,
    ),
    Erratum(
        "weight-density", "(49)", "exp(-Σ W²_ij/2σ²) ∝ exp(-Tr WWᵀ)", "exp(-Tr WWᵀ/2σ²), which has the same symmetry",
        (_OWN,), potential.weight_density,
    ),
    Erratum(
        "landau-multiplicity", "(54)",
        "Γ with 1/6 Σ k_ijk and 1/24 Σ k_ijkl, without the multiplicity Π that Θ has; Ψ with Σ Π_iiij without k_iiij",
        "Γ with ½ Σ k_ijj after averaging, as Θ with ¼ Σ k_iijj; Ψ with k_iiij(z_j - μ_j)/6, which averages to zero",
        ("tests/symmetry/test_landau.py::test_coefficients_equal_finite_differences", _OWN),
        potential.landau_multiplicity,
    ),
    Erratum(
        "fluctuation-variance", "after (54)", "⟨ε_k ε_l⟩ = δ_kl", "variance ¼, as (46) says; a parameter of `landau`",
        (_OWN,), checks.fluctuation_variance,
    ),
    Erratum(
        "visible-conditional", "5.2", "σ(Wh + b)", "σ(Wh + a)",
        ("tests/symmetry/test_hierarchy.py::test_a_full_turn_changes_nothing_and_the_visible_bias_is_a", _OWN),
        checks.visible_conditional,
    ),
    Erratum(
        "eigenvalues-are-rates", "6", "eigenvalues are proportional to the relaxation times",
        "to the relaxation rates, Γ = 2D𝓔", (_OWN,), potential.eigenvalues_are_rates,
    ),
    Erratum(
        "ais-directions", "2, figure 1", "AIS bounds Z from above, reverse AIS from below",
        "the other way round, in expectation",
        ("tests/likelihood/test_annealing.py::test_bounds_have_the_directions_of_jensen", _OWN), checks.ais_directions,
    ),
    Erratum(
        "kurtosis-per-layer", "figure 3 e", "kurtosis against M at N = 784",
        "the exact law 3 - 6/(M + 2) for each layer by its own size; both layers are shown",
        ("tests/reciprocal/test_gaussianity.py::test_haar_average_and_single_bit", _OWN), checks.kurtosis_per_layer,
    ),
    Erratum(
        "training-methods", "figure 3 f", "spectra of different training methods, which are not named",
        "Rdm-K, CD and PCD are trained and shown",
        ("tests/report/test_errata.py::test_all_three_methods_are_asked_for",), checks.training_methods, of_study=True,
    ),
)  # fmt: skip
"""In the order of the paper; the table of docs/theory.md is made from them."""


@cache
def _without_study(check: Callable[[Evidence | None], Check]) -> Check:
    """Checks that no study enters give the same numbers each time, and are done once a process."""
    return check(None)


def run_checks(evidence: Evidence | None = None) -> dict[str, Check]:
    """The evidence of every erratum by key; seconds."""
    with _one_thread():
        return {
            erratum.key: erratum.check(evidence) if erratum.of_study else _without_study(erratum.check)
            for erratum in ERRATA
        }


@contextmanager
def _one_thread() -> Iterator[None]:
    """The checks are small: more threads only wait for each other, for minutes where the cores are busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
