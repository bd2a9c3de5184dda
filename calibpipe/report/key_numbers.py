"""The few numbers that a night is judged by."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time

from .aerosol_tiles import aerosol_tiles
from .array_tiles import array_tiles
from .dedicated_tiles import dedicated_tiles
from .material import CO2_METHODS, FoundProduct, NightMaterial
from .pointing_tiles import pointing_tiles
from .throughput_numbers import throughput_tiles
from .wording import power_of_ten, rounded, signed, with_errors

__all__ = ["key_numbers"]


def key_numbers(material: NightMaterial) -> list[dict[str, Any]]:
    """The few numbers that a night is judged by; a dash where the product is absent."""
    return [
        _density_number(material),
        _thickness_number(material),
        _refractivity_number(material),
        _optical_depth_number(material),
        _coverage_number(material),
        _co2_number(material),
        _five_layer_number(material),
        _top_number(material),
        *aerosol_tiles(material),
        *dedicated_tiles(material),
        *throughput_tiles(material),
        *pointing_tiles(material),
        *array_tiles(material),
    ]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _density_number(material: NightMaterial) -> dict[str, Any]:
    name = "Number density at 15\N{NO-BREAK SPACE}km"
    profile, model = material.usable("density_profile"), material.usable("reference_model")
    notes = []
    if model is not None:
        selection, version = model.facts["selection"], model.facts["model"]
        notes = [f"reference model {selection['season']}, version {version['version']}"]
        if selection["method"] == "date":
            notes.append("chosen by date, not by density")
        elif np.isfinite(selection["margin_in_sigma"]):
            notes.append(f"{selection['margin_in_sigma']:.1f} σ from the nearest boundary")
        else:
            notes.append("the only model of the pool")
    unit = f"× {power_of_ten(18)} cm⁻³"
    if profile is None:
        if material.by_date and model is not None:
            season = model.facts["selection"]["season"]
            density = model.facts["number_density_15km_in_per_cm3"][season]
            return _number(
                name,
                value=rounded(density * 1e-18)[0],
                unit=unit,
                notes=["of the reference model, not of the night", *notes],
            )
        return _number(name, notes=["needs density_profile", *notes])
    if model is not None:
        season = model.facts["selection"]["season"]
        ratio = (
            profile.facts["number_density_15km_in_per_cm3"]
            / model.facts["number_density_15km_in_per_cm3"][season]
        )
        published = model.facts.get("number_density_15km_source") == "published for the site"
        whose = "its published density" if published else "the density of the model"
        notes.append(f"{signed(100 * (ratio - 1), 1)} % from {whose}")
    value, error = rounded(
        profile.facts["number_density_15km_in_per_cm3"] * 1e-18,
        profile.facts["number_density_15km_error_in_per_cm3"] * 1e-18,
    )
    return _number(name, value=value, total=error, unit=unit, notes=notes)


def _at_site(model: FoundProduct, quantity: str) -> list[float]:
    """Value of a quantity at the observation level, and its errors (stat, sys)."""
    level = model.facts["observation_level"]
    names = (quantity, f"{quantity}_stat_error", f"{quantity}_sys_error")
    return [level[name]["value"] for name in names]


def _thickness_number(material: NightMaterial) -> dict[str, Any]:
    name = f"Thickness at {material.site.elevation.to_value(u.m):.0f} m"
    model = material.usable("atmospheric_model")
    if model is None:
        return _number(name, notes=["needs atmospheric_model"])
    numbers = _at_site(model, "thickness")
    notes = ["mass of air above the observation level"]
    if model.facts["origin"] != "data":
        notes.append(model.facts["origin"])
    return _number(name, **with_errors(*numbers), unit="g/cm²", notes=notes)


def _refractivity_number(material: NightMaterial) -> dict[str, Any]:
    name = "Refractivity n − 1 at the site"
    model = material.usable("atmospheric_model")
    if model is None:
        return _number(name, notes=["needs atmospheric_model"])
    numbers = _at_site(model, "refractivity")
    return _number(
        name,
        **with_errors(*(1e4 * number for number in numbers)),
        unit=f"× {power_of_ten(-4)}",
        notes=[f"at a wavelength of {model.facts['refractivity_wavelength_in_nm']:g} nm"],
    )


def _optical_depth_number(material: NightMaterial) -> dict[str, Any]:
    name = "Optical depth τ at 350\N{NO-BREAK SPACE}nm"
    extinction = material.usable("rayleigh_extinction")
    if extinction is None:
        return _number(name, notes=["needs rayleigh_extinction"])
    closure = extinction.facts["closure"]
    depth = closure["optical_depth_350nm"]
    errors = [depth * extinction.facts[f"relative_{kind}_error"][-1] for kind in ("stat", "sys")]
    difference = signed(100 * closure["relative_difference"], 3)
    return _number(
        name,
        **with_errors(depth, *errors),
        notes=[
            f"closure with the pressure at the site {difference} % "
            f"(limit ±{100 * closure['limit']:g} %)"
        ],
        meter=_meter(closure["relative_difference"], closure["limit"]),
    )


def _meter(value: float, limit: float) -> dict[str, Any]:
    """Place of a value between its limits, in percent of the width."""
    return {"place": round(50 + 50 * float(np.clip(value / limit, -1, 1)), 2)}


def _coverage_number(material: NightMaterial) -> dict[str, Any]:
    name = "Data of the night"
    profile, meteo = material.usable("density_profile"), material.usable("meteo_data")
    dataset = meteo.content["dataset"] if meteo else ""
    named = {"": [], "unknown": ["given files"]}.get(dataset, [dataset])
    if profile is None:
        why = (
            "none: the date chose the reference model"
            if material.by_date
            else "needs density_profile"
        )
        return _number(name, notes=[why, *named])
    times = Time([profile.facts["dusk_utc"], profile.facts["dawn_utc"]], format="isot", scale="utc")
    length = (times[1] - times[0]).to_value(u.h)
    dusk, dawn = profile.facts["uncovered_in_h"]
    gaps = "from dusk to dawn without a gap"
    if dusk + dawn > 0:
        gaps = f"uncovered: {dusk:.2f} h after dusk, {dawn:.2f} h before dawn"
    return _number(
        name,
        value=f"{length - dusk - dawn:.2f}",
        unit=f"of {length:.2f} h",
        notes=[_counted_analyses(profile, named), gaps],
    )


def _counted_analyses(profile: FoundProduct, named: list[str]) -> str:
    n = len(profile.facts["times_utc"])
    step = profile.facts["largest_time_step_in_h"]
    count = f"{n} analys{'is' if n == 1 else 'es'}, at most {step:g} h apart"
    return ", ".join([*named, count])


def _co2_number(material: NightMaterial) -> dict[str, Any]:
    name = "CO₂ mole fraction"
    macobac = material.usable("macobac")
    if macobac is None:
        return _number(name, notes=["needs macobac"])
    row = macobac.table[0]
    ppm = [
        1e6 * float(u.Quantity(row[column]).to_value(u.one))
        for column in ("co2_mole_fraction", "stat_error", "sys_error")
    ]
    age, method = macobac.facts["age_in_days"], macobac.facts["method"]
    return _number(
        name,
        **with_errors(*ppm),
        unit="ppm",
        notes=[
            f"{CO2_METHODS.get(method, method)}, {row['first_month']} to {row['last_month']}",
            f"age {age} days",
            str(row["source"]),
        ],
    )


def _five_layer_number(material: NightMaterial) -> dict[str, Any]:
    name = "Five-layer fit, largest residual"
    model = material.usable("atmospheric_model")
    if model is None:
        return _number(name, notes=["needs atmospheric_model"])
    layers = model.facts["five_layers"]
    return _number(
        name,
        value=f"{100 * layers['largest_thickness_residual_below_30km']:.2f}",
        unit="% of thickness",
        notes=[
            f"{100 * layers['largest_density_residual_below_30km']:.1f} % of density",
            "below 30 km",
        ],
    )


def _top_number(material: NightMaterial) -> dict[str, Any]:
    name = "Data reach up to"
    model = material.usable("atmospheric_model")
    if model is None:
        return _number(name, notes=["needs atmospheric_model"])
    upper = {
        "reference": "the reference atmosphere",
        "nrlmsis": "NRLMSISE-00 of the date",
        "us-standard": "US Standard Atmosphere 1976",
    }[model.facts["upper_air"]]
    if model.facts["origin"] != "data":
        return _number(name, notes=["no data: reference atmosphere from sea level on"])
    return _number(
        name,
        value=f"{model.facts['top_of_data_in_km']:.1f}",
        unit="km",
        notes=[f"above: {upper}"],
    )
