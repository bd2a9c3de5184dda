"""Which figures the page of a night shows, what they say, and why one is missing."""

from collections.abc import Callable
from typing import Any

import astropy.units as u
from astropy.table import QTable
from matplotlib.figure import Figure

from . import figures
from .inline_svg import inline_svg
from .material import NightMaterial

__all__ = ["night_figures"]


def night_figures(material: NightMaterial) -> list[dict[str, str]]:
    """Figures of the page in their order: ``name``, ``title``, ``caption``, ``svg``, ``absent``."""
    return [
        _density_ratio(material),
        _evolution(material),
        _profile(material),
        _refractivity(material),
        _optical_depth(material),
        _transmission(material),
    ]


def _drawn(
    name: str, title: str, caption: str, absent: str, draw: Callable[..., Figure], *arguments: Any
) -> dict[str, str]:
    """A figure, or the reason why there is none."""
    svg = "" if absent else inline_svg(draw(*arguments), name, f"{title}. {caption}")
    return {
        "name": name,
        "title": title,
        "caption": "" if absent else caption,
        "svg": svg,
        "absent": absent,
    }


def _needs(material: NightMaterial, *stems: str) -> str:
    """Why a figure of these products cannot be drawn; empty if it can."""
    lacking = [stem for stem in stems if material.usable(stem) is None]
    return f"it needs {' and '.join(lacking)}." if lacking else ""


def _table(material: NightMaterial, stem: str) -> QTable | None:
    product = material.usable(stem)
    return product.table if product else None


def _season(material: NightMaterial) -> str:
    model = material.usable("reference_model")
    return model.facts["selection"]["season"] if model else ""


def _density_ratio(material: NightMaterial) -> dict[str, str]:
    season = _season(material)
    models = dict(material.models)
    if season:
        models[season] = _table(material, "reference_model")
    caption = "Bold: "
    if season:
        caption += (
            f"the chosen model ({season}), its band the statistical and systematic error of the "
            "night in quadrature. "
        )
    else:
        caption = "No model is chosen yet. "
    caption += (
        "Grey about 1: spread of the nights that the chosen model is made from. The shaded foot "
        "lies below the site."
    )
    absent = _needs(material, "density_profile")
    if not absent and not models:
        absent = "it needs reference_model, or the pool of the site."
    return _drawn(
        "density-ratio",
        "Density relative to the reference models",
        caption,
        absent,
        figures.density_ratio_figure,
        _table(material, "density_profile"),
        models,
        season,
        material.site.elevation,
    )


def _evolution(material: NightMaterial) -> dict[str, str]:
    absent = _needs(material, "density_profile")
    if not absent and material.darkness is None:
        absent = "the night has no astronomical darkness."
    return _drawn(
        "evolution",
        "Density over the night",
        "Each point is an analysis; the mean is that of the astronomical night. Between the points "
        "the density is taken to run linearly. The spread is the statistical error of the profile.",
        absent,
        figures.evolution_figure,
        _table(material, "density_profile"),
        getattr(material.darkness, "dusk", None),
        getattr(material.darkness, "dawn", None),
    )


def _profile(material: NightMaterial) -> dict[str, str]:
    measured, reference = _table(material, "density_profile"), _table(material, "reference_model")
    absent = (
        "" if measured is not None or reference is not None else _needs(material, "density_profile")
    )
    caption = "Mean of the night over the site"
    caption += "; dashed, the reference model." if reference is not None else "."
    if measured is None:
        caption = f"No data of the night: reference model {_season(material)} alone."
    return _drawn(
        "profile",
        "Temperature and humidity",
        caption,
        absent,
        figures.profile_figure,
        measured,
        reference,
        _season(material),
        material.site.elevation,
    )


def _refractivity(material: NightMaterial) -> dict[str, str]:
    model = material.usable("atmospheric_model")
    facts = model.facts if model else {}
    top = facts.get("top_of_data_in_km", 0.0) * u.km
    caption = (
        "Left, n − 1 of the table for air-shower simulation. Right, its relative errors: "
        "statistical, the spread over the night; systematic, that of the data and, above their end "
        f"at {top.to_value(u.km):.1f} km, that of the upper-air model."
    )
    if top == 0 * u.km:
        caption = (
            "Left, n − 1 of the table for air-shower simulation. Right, its relative errors: "
            "statistical, the spread of the nights of the reference model; systematic, that of an "
            "atmosphere without data."
        )
    return _drawn(
        "refractivity",
        "Refractivity n − 1",
        caption,
        _needs(material, "atmospheric_model"),
        figures.refractivity_figure,
        _table(material, "atmospheric_model"),
        facts.get("refractivity_wavelength_in_nm", 0.0) * u.nm,
        material.site.elevation,
        top,
    )


def _optical_depth(material: NightMaterial) -> dict[str, str]:
    return _drawn(
        "optical-depth",
        "Rayleigh extinction by wavelength and altitude",
        "Vertical optical depth of the molecules between the site and an altitude. Aerosols, ozone "
        "and clouds are not in it.",
        _needs(material, "rayleigh_extinction"),
        figures.optical_depth_figure,
        _table(material, "rayleigh_extinction"),
    )


def _transmission(material: NightMaterial) -> dict[str, str]:
    return _drawn(
        "transmission",
        "Transmission to the site",
        "exp(−τ) for light that comes straight down from an altitude above sea level; top: from "
        "120 km.",
        _needs(material, "rayleigh_extinction"),
        figures.transmission_figure,
        _table(material, "rayleigh_extinction"),
    )
