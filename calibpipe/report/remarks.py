"""Forced decisions, fallbacks and doubts about a night, in words."""

from collections.abc import Iterable

from .aerosol_remarks import aerosol_remarks
from .array_remarks import array_remarks
from .camera_numbers import camera_remarks
from .dedicated_remarks import dedicated_remarks
from .material import CO2_METHODS, NightMaterial
from .pointing_remarks import pointing_remarks
from .tables import versions
from .throughput_numbers import throughput_remarks
from .verdicts import verdict_remarks
from .wording import listed

__all__ = ["night_remarks"]

_SIMULATED = "simulation/meteo.grib"  # written by the rule simulated_meteo_data


def night_remarks(material: NightMaterial) -> list[dict[str, str]]:
    """Forced decisions, fallbacks and doubts: ``warning`` or ``note``, title, text."""
    remarks = [
        {"level": level, "title": title, "text": text}
        for level, title, text in (
            *verdict_remarks(material),
            *_selection_remarks(material),
            *_weather_remarks(material),
            *_co2_remarks(material),
            *aerosol_remarks(material),
            *camera_remarks(material),
            *dedicated_remarks(material),
            *throughput_remarks(material),
            *pointing_remarks(material),
            *array_remarks(material),
            *_consistency_remarks(material),
            *_unused_remarks(material),
        )
    ]
    return sorted(remarks, key=lambda remark: remark["level"] != "warning")


def _selection_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    model = material.usable("reference_model")
    if model is None:
        return
    selection = model.facts["selection"]
    if selection["method"] == "date":
        yield (
            "warning",
            f"Reference model {selection['season']} was chosen by date, not by density",
            f"{_sentence(selection['reason'])} The atmosphere of this night is the reference "
            "atmosphere alone; no weather is in it.",
        )
    elif selection["margin_in_sigma"] < material.margin_limit:
        yield (
            "warning",
            f"The choice of the reference model {selection['season']} is close",
            f"The number density at 15 km lies {selection['margin_in_sigma']:.1f} σ from the "
            f"boundary to another model (limit {material.margin_limit:g} σ).",
        )


def _weather_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    meteo, profile = material.usable("meteo_data"), material.usable("density_profile")
    if meteo is not None:
        if any(e["path"].endswith(_SIMULATED) for e in meteo.facts.get("inputs", ())):
            yield (
                "note",
                "Simulated weather",
                "The meteorological data were made by calibpipe-simulate-meteo-data; no number of "
                "this page describes a real night.",
            )
        if meteo.content.get("release") == "preliminary":
            yield (
                "warning",
                "The meteorological data are preliminary (ERA5T)",
                "Final ERA5 comes two to three months later; make this night again then.",
            )
        if meteo.content.get("forecast_hours", 0) > 0:
            yield (
                "warning",
                "Forecasts instead of analyses",
                f"The fields are forecasts of up to {meteo.content['forecast_hours']:g} h.",
            )
        if meteo.content.get("dataset") == "unknown":
            yield (
                "note",
                "Meteorological data from given files",
                "They were not retrieved from an archive; which data set they belong to was not "
                "said.",
            )
    if profile is not None and sum(profile.facts["uncovered_in_h"]) > 0:
        dusk, dawn = profile.facts["uncovered_in_h"]
        yield (
            "warning",
            f"{dusk + dawn:.2f} h of the night have no data",
            f"{dusk:.2f} h after dusk and {dawn:.2f} h before dawn; the nearest analysis was held "
            "there.",
        )


def _co2_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    macobac = material.usable("macobac")
    if macobac is None:
        return
    age, method = macobac.facts["age_in_days"], macobac.facts["method"]
    if method == "last_known" or age > material.co2_age_limit:
        row = macobac.table[0]
        why = "No record could be had"
        if method != "last_known":
            why = f"The record ends {age} days before it"
        yield (
            "note",
            "CO₂ is not that of the year before the night",
            f"{why}: {CO2_METHODS.get(method, method)}, "
            f"{row['first_month']} to {row['last_month']} ({row['source']}). Its error has grown "
            "accordingly; 10 ppm of CO₂ change the optical depth by less than one part in 10⁵.",
        )


def _consistency_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    used = [product for product in material.used.values() if product.facts]
    for product in used:
        keys = tuple(product.facts.get(key) for key in ("site", "night", "category"))
        expected = (material.site.name, material.night, material.category)
        if keys != expected:
            yield (
                "warning",
                f"{product.path} is of another night",
                f"It says {' '.join(map(str, keys))}, this page is of {' '.join(expected)}.",
            )
        for entry in product.facts.get("inputs", ()):
            name = entry["path"].rsplit("/", 1)[-1]
            if any(
                entry["path"].endswith(f"/{path}") and own.sha256 != entry["sha256"]
                for path, own in material.used.items()
                if path != product.path  # the same product of another night
            ):
                yield (
                    "warning",
                    f"{product.path} was made from another {name}",
                    "Its input has changed since: run snakemake again.",
                )
    mixed = [f"{name} {version}" for name, version in versions(material).items() if "," in version]
    if mixed:
        yield (
            "warning",
            "The products were made with different software versions",
            f"{_sentence(listed(mixed))}",
        )


def _unused_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    if material.unused:
        yield (
            "note",
            f"Unused: {listed(list(material.unused))}",
            "Of an earlier run, before the date was made to choose the reference model; no number "
            "of this page comes from it.",
        )


def _sentence(text: str) -> str:
    """Text with a capital first and a full stop last."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
