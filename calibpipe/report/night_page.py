"""The page of a night: from products, failure records and warnings to facts, and to HTML.

`night_facts` collects what the page says, numbers already rounded to their errors; `render` fills
the template. Nothing here opens a file of the night.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from ..atmosphere.reference_model import density_boundaries
from ..core.night import AstronomicalNight
from ..core.site import Site
from .rounding import power_of_ten, rounded, with_errors

__all__ = ["STEPS", "FoundProduct", "NightMaterial", "Step", "night_facts", "render"]

COMPLETE = "COMPLETE"
EXIT_CODES = {
    1: "unexpected error",
    100: "may pass: run the same command again later",
    101: "configuration or request: change it",
    102: "storage: a file could not be written or read",
    104: "an input is corrupted",
    105: "an input is missing or does not cover the night",
    106: "too few data",
    130: "interrupted: run the same command again",
}
CATEGORIES = {"B": "category B, next day", "C": "category C, final"}
CO2_METHODS = {
    "measured": "measured",
    "cached": "from the cache",
    "last_known": "last known annual mean, no record could be had",
}


@dataclass(frozen=True)
class Step:
    """A step of the workflow: its products and the steps that it needs.

    Parameters
    ----------
    name : str
        Rule and log: ``atmosphere/density_profile``.
    products : tuple of str
        Paths in the folder of the night.
    needs : tuple of str
        Names of other steps.
    """

    name: str
    products: tuple[str, ...]
    needs: tuple[str, ...] = ()


STEPS = (
    Step("simulation/meteo", ()),
    Step("atmosphere/meteo_data", ("atmosphere/meteo_data.json",), ("simulation/meteo",)),
    Step("atmosphere/macobac", ("atmosphere/macobac.ecsv",)),
    Step(
        "atmosphere/density_profile",
        ("atmosphere/density_profile.ecsv",),
        ("atmosphere/meteo_data", "atmosphere/macobac"),
    ),
    Step(
        "atmosphere/reference_model",
        ("atmosphere/reference_model.ecsv",),
        ("atmosphere/density_profile",),
    ),
    Step(
        "atmosphere/atmospheric_model",
        (
            "atmosphere/atmospheric_model.ecsv",
            "atmosphere/rayleigh_extinction.ecsv",
            "atmosphere/atmprof.dat",
            "atmosphere/atm_trans.dat",
        ),
        ("atmosphere/density_profile", "atmosphere/reference_model", "atmosphere/macobac"),
    ),
)
"""The steps of a night, each after what it needs."""


@dataclass(frozen=True)
class FoundProduct:
    """A product file as it lies in the folder of the night.

    Parameters
    ----------
    path : str
        In the folder of the night.
    link : str
        From the page to the file.
    size : int
        Bytes.
    sha256 : str
    header : dict
        ``CTA ...`` keys and the nested ``calibpipe`` entry; empty for exchange formats and for
        what could not be read.
    table : QTable or None
    content : dict
        Of a JSON product.
    problem : str
        Why it cannot be used; empty if it can.
    """

    path: str
    link: str
    size: int
    sha256: str
    header: dict[str, Any] = field(default_factory=dict)
    table: QTable | None = None
    content: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The header of CalibPipe."""
        return self.header.get("calibpipe", {})


@dataclass(frozen=True)
class NightMaterial:
    """Everything that the page of a night is made from.

    Parameters
    ----------
    site : Site
    night, category : str
        Keys of the night.
    darkness : AstronomicalNight or None
        None if the Sun does not sink deep enough.
    products : dict
        Path in the folder of the night to `FoundProduct`; only what is there.
    failures : sequence of dict
        Records that failed steps left.
    log_warnings : sequence of (str, str)
        Step and warning.
    models : dict
        Season to reference model of the pool; may be empty.
    margin_limit : float
        Distance to the boundary between two models, in sigma, below which the page warns.
    co2_age_limit : float
        Days without measured CO2 above which the page says so.
    """

    site: Site
    night: str
    category: str
    darkness: AstronomicalNight | None
    products: dict[str, FoundProduct]
    failures: Sequence[dict[str, Any]] = ()
    log_warnings: Sequence[tuple[str, str]] = ()
    models: dict[str, QTable] = field(default_factory=dict)
    margin_limit: float = 1.0
    co2_age_limit: float = 400.0

    def usable(self, stem: str) -> FoundProduct | None:
        """Product ``atmosphere/<stem>`` if it is there and can be used."""
        for suffix in (".ecsv", ".json"):
            product = self.products.get(f"atmosphere/{stem}{suffix}")
            if product is not None and not product.problem:
                return product
        return None

    @property
    def by_date(self) -> bool:
        """Whether the date chose the reference model."""
        model = self.usable("reference_model")
        return model is not None and model.facts["selection"]["method"] == "date"


def night_facts(material: NightMaterial, figures: Sequence[dict[str, str]]) -> dict[str, Any]:
    """What the page says, ready for the template.

    Parameters
    ----------
    material : NightMaterial
    figures : sequence of dict
        ``name``, ``title``, ``caption``, ``svg`` (or an empty text) and ``absent`` (why).
    """
    absent = absent_products(material)
    remarks = night_remarks(material)
    return {
        "site": site_facts(material.site),
        "night": material.night,
        "category": material.category,
        "category_text": CATEGORIES[material.category],
        "darkness": darkness_facts(material),
        "status": status(material, absent, remarks),
        "failures": [failure_facts(record) for record in material.failures],
        "absent": absent,
        "remarks": remarks,
        "key_numbers": key_numbers(material),
        "timeline": timeline(material),
        "density_scale": density_scale(material),
        "figures": list(figures),
        "products": product_facts(material),
        "inputs": input_facts(material),
        "configurations": configuration_facts(material),
        "versions": versions(material),
        "five_layers": five_layers(material),
        "log_warnings": list(material.log_warnings),
    }


def render(facts: dict[str, Any], made: datetime, version: str) -> str:
    """HTML of the page; every fact is escaped, only figures are not."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(str(files("calibpipe.report") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("night.html.j2")
    return page.render(facts, made=made, version=version) + "\n"


def site_facts(site: Site) -> dict[str, str]:
    """Name and place of the site."""
    latitude, longitude = site.latitude.to_value(u.deg), site.longitude.to_value(u.deg)
    return {
        "name": site.name,
        "place": f"{abs(latitude):.3f}° {'S' if latitude < 0 else 'N'}, "
        f"{abs(longitude):.3f}° {'W' if longitude < 0 else 'E'}",
        "elevation": f"{site.elevation.to_value(u.m):.0f} m",
    }


def darkness_facts(material: NightMaterial) -> dict[str, str] | None:
    """Dusk and dawn in UTC and local time."""
    if material.darkness is None:
        return None
    zone = ZoneInfo(material.site.time_zone)
    facts = {"duration": f"{material.darkness.duration.to_value(u.h):.2f} h"}
    for name in ("dusk", "dawn"):
        moment = getattr(material.darkness, name)
        facts[name] = f"{moment.utc.to_datetime():%H:%M}"
        facts[f"{name}_local"] = f"{moment.utc.to_datetime(timezone=zone):%H:%M}"
        facts[f"{name}_day"] = moment.utc.to_datetime().date().isoformat()
    return facts


def failure_facts(record: dict[str, Any]) -> dict[str, Any]:
    """A failure record with the meaning of its exit code."""
    known = {"step": "unknown", "error": "", "message": "", "command": "", "time_utc": ""} | record
    code = record.get("exit_code", 1)
    return known | {"exit_code": code, "meaning": EXIT_CODES.get(code, "unexpected error")}


def absent_products(material: NightMaterial) -> list[dict[str, str]]:
    """Products that are not there or cannot be used, each with the reason."""
    failed = {record.get("step") for record in material.failures}
    absent = []
    for step in STEPS:
        for path in step.products:
            product = material.products.get(path)
            if product is not None and not product.problem:
                continue
            if material.by_date and _of_the_weather(step.name):
                continue
            reason = product.problem if product else _why_not_made(step, failed, material)
            absent.append({"path": path, "step": step.name, "reason": reason})
    return absent


def _of_the_weather(step: str) -> bool:
    """Whether a step is left out when the date chooses the reference model."""
    return step in ("simulation/meteo", "atmosphere/meteo_data", "atmosphere/density_profile")


def _why_not_made(step: Step, failed: set[str | None], material: NightMaterial) -> str:
    if step.name in failed:
        return "its step failed, see above"
    needed = _all_needs(step)
    if causes := [name for name in needed if name in failed]:
        return f"not made, because it needs {_listed(causes)}, which failed"
    made = {s.name for s in STEPS if s.products and s.products[0] in material.products}
    lacking = [s.name for s in STEPS if s.name in needed and s.products and s.name not in made]
    if lacking:
        return f"not made, because it needs {_listed(lacking)}, which is absent, too"
    return "not made, and no failure is recorded: run snakemake again"


def _all_needs(step: Step) -> list[str]:
    """Names of all steps that a step needs, directly or not, in the order of the night."""
    by_name = {s.name: s for s in STEPS}
    found: set[str] = set()
    pending = list(step.needs)
    while pending:
        name = pending.pop()
        found.add(name)
        pending += by_name[name].needs
    return [s.name for s in STEPS if s.name in found]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def status(
    material: NightMaterial, absent: Sequence[dict[str, str]], remarks: Sequence[dict[str, str]]
) -> dict[str, str]:
    """The band at the top: one word and one sentence."""
    warnings = [remark for remark in remarks if remark["level"] == "warning"]
    if material.failures:
        steps = _listed([record.get("step", "unknown") for record in material.failures])
        word = f"{_counted(len(material.failures), 'step')} failed"
        lacking = f"; {_counted(len(absent), 'product')} not made" if absent else ""
        return {"level": "failed", "word": word, "sentence": f"{steps}{lacking}."}
    if absent:
        return {
            "level": "failed",
            "word": "Incomplete",
            "sentence": f"{_counted(len(absent), 'product')} absent, no failure recorded.",
        }
    found = _counted(len(material.products), "product")
    if warnings:
        titles = "; ".join(remark["title"] for remark in warnings)
        return {"level": "warning", "word": "Complete, look twice", "sentence": f"{titles}."}
    sentence = f"{found}, each of them complete and checked."
    if material.usable("rayleigh_extinction"):
        sentence = f"{found}; optical depth closes, reference model {_chosen(material)}."
    return {"level": "complete", "word": "Complete", "sentence": sentence}


def _chosen(material: NightMaterial) -> str:
    model = material.usable("reference_model")
    return model.facts["selection"]["season"] if model else "none"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def night_remarks(material: NightMaterial) -> list[dict[str, str]]:
    """Forced decisions, fallbacks and doubts: ``warning`` or ``note``, title, text."""
    return [
        {"level": level, "title": title, "text": text}
        for level, title, text in (
            *_selection_remarks(material),
            *_weather_remarks(material),
            *_co2_remarks(material),
            *_consistency_remarks(material),
        )
    ]


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
        yield (
            "note",
            "CO₂ is not that of the year before the night",
            f"{_sentence(_capital(CO2_METHODS.get(method, method)))} Source: {row['source']}, "
            f"{row['first_month']} to {row['last_month']}. Its error has grown accordingly; at "
            "this size CO₂ changes the optical depth by less than 10⁻⁴.",
        )


def _consistency_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    by_name = {path.rsplit("/", 1)[-1]: product for path, product in material.products.items()}
    used = [product for product in material.products.values() if product.facts]
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
            if f"atmosphere/{name}" in material.products and (
                by_name[name].sha256 != entry["sha256"]
            ):
                yield (
                    "warning",
                    f"{product.path} was made from another {name}",
                    "Its input has changed since: run snakemake again.",
                )
    if len({str(product.facts["software"]) for product in used}) > 1:
        yield (
            "warning",
            "The products were made with different software versions",
            "The table of versions lists them.",
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


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
    ]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def _density_number(material: NightMaterial) -> dict[str, Any]:
    name = "Number density at 15 km"
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
        if material.by_date:
            season = model.facts["selection"]["season"]
            density = model.facts["number_density_15km_in_per_cm3"][season]
            return _number(
                name,
                value=rounded(density * 1e-18)[0],
                unit=unit,
                notes=["of the reference model, not of the night", *notes],
            )
        return _number(name, notes=["needs density_profile", *notes])
    value, error = rounded(
        profile.facts["number_density_15km_in_per_cm3"] * 1e-18,
        profile.facts["number_density_15km_error_in_per_cm3"] * 1e-18,
    )
    return _number(name, value=value, total=error, unit=unit, notes=notes)


def value_at(table: QTable, column: str, altitude: u.Quantity) -> tuple[float, float, float]:
    """Value of a column of the shower atmosphere at an altitude, and its errors (stat, sys).

    A cubic spline of the logarithm; relative errors are interpolated linearly.
    """
    from scipy.interpolate import CubicSpline

    values = np.asarray(table[column].value if hasattr(table[column], "value") else table[column])
    rows = values > 0
    z, at = table["altitude"].to_value(u.km)[rows], altitude.to_value(u.km)
    value = float(np.exp(CubicSpline(z, np.log(values[rows]))(at)))
    errors = []
    for kind in ("stat", "sys"):
        error = table[f"{column}_{kind}_error"]
        error = np.asarray(error.value if hasattr(error, "value") else error)
        errors.append(value * float(np.interp(at, z, error[rows] / values[rows])))
    return value, *errors


def _thickness_number(material: NightMaterial) -> dict[str, Any]:
    name = f"Thickness at {material.site.elevation.to_value(u.m):.0f} m"
    model = material.usable("atmospheric_model")
    if model is None:
        return _number(name, notes=["needs atmospheric_model"])
    numbers = value_at(model.table, "thickness", material.site.elevation)
    notes = ["mass of air above the observation level"]
    if model.facts["origin"] != "data":
        notes.append(model.facts["origin"])
    return _number(name, **with_errors(*numbers), unit="g/cm²", notes=notes)


def _refractivity_number(material: NightMaterial) -> dict[str, Any]:
    name = "Refractivity n − 1 at the site"
    model = material.usable("atmospheric_model")
    if model is None:
        return _number(name, notes=["needs atmospheric_model"])
    numbers = value_at(model.table, "refractivity", material.site.elevation)
    return _number(
        name,
        **with_errors(*(1e4 * number for number in numbers)),
        unit=f"× {power_of_ten(-4)}",
        notes=[f"at a wavelength of {model.facts['refractivity_wavelength_in_nm']:g} nm"],
    )


def _optical_depth_number(material: NightMaterial) -> dict[str, Any]:
    name = "Optical depth τ at 350 nm"
    extinction = material.usable("rayleigh_extinction")
    if extinction is None:
        return _number(name, notes=["needs rayleigh_extinction"])
    closure = extinction.facts["closure"]
    depth = closure["optical_depth_350nm"]
    errors = [depth * extinction.facts[f"relative_{kind}_error"][-1] for kind in ("stat", "sys")]
    difference = f"{100 * closure['relative_difference']:+.3f}".replace("-", "\N{MINUS SIGN}")
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
        return _number(name, notes=["needs density_profile", *named])
    times = Time([profile.facts["dusk_utc"], profile.facts["dawn_utc"]], format="isot", scale="utc")
    length = (times[1] - times[0]).to_value(u.h)
    dusk, dawn = profile.facts["uncovered_in_h"]
    gaps = (
        "every minute between analyses"
        if dusk + dawn == 0
        else (f"uncovered: {dusk:.2f} h after dusk, {dawn:.2f} h before dawn")
    )
    return _number(
        name,
        value=f"{length - dusk - dawn:.2f}",
        unit=f"of {length:.2f} h",
        notes=[_counted_analyses(profile, named), gaps],
    )


def _counted_analyses(profile: FoundProduct, named: list[str]) -> str:
    n = len(profile.facts["times_utc"])
    count = f"{n} analys{'is' if n == 1 else 'es'}"
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
            f"{row['first_month']} to {row['last_month']}, {CO2_METHODS.get(method, method)}",
            f"ends {age} days before the night" if age else "reaches the night",
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


def timeline(material: NightMaterial) -> dict[str, Any] | None:
    """Astronomical night and analyses on one line, places in percent of its width."""
    if material.darkness is None:
        return None
    profile = material.usable("density_profile")
    dusk, dawn = material.darkness.dusk.utc, material.darkness.dawn.utc
    times = Time([], format="isot", scale="utc")
    weights, uncovered = [], [0.0, 0.0]
    if profile is not None:
        times = Time(profile.facts["times_utc"], format="isot", scale="utc")
        weights, uncovered = profile.facts["time_weights"], profile.facts["uncovered_in_h"]
    hours = [(time - dusk).to_value(u.h) for time in times]
    length = (dawn - dusk).to_value(u.h)
    low, high = min([0.0, *hours]) - 0.4, max([length, *hours]) + 0.4

    def place(hour: float) -> float:
        return round(100 * (hour - low) / (high - low), 2)

    gaps = [(0.0, uncovered[0]), (length - uncovered[1], length)]
    return {
        "dusk": place(0.0),
        "dawn": place(length),
        "analyses": [
            {
                "place": place(hour),
                "time": f"{time.to_datetime():%H:%M}",
                "weight": f"{100 * w:.1f} %",
            }
            for hour, time, w in zip(hours, times, weights, strict=True)
        ],
        "gaps": [
            {"begin": place(begin), "width": round(place(end) - place(begin), 2)}
            for begin, end in gaps
            if end > begin
        ],
        "hours": _full_hours(dusk, low, high, place),
    }


def _full_hours(dusk: Time, low: float, high: float, place) -> list[dict[str, Any]]:
    """Full hours (UTC) along the line, at most eight of them."""
    begin = dusk.to_datetime()
    first = begin.hour + begin.minute / 60 + begin.second / 3600
    step = next(s for s in (1, 2, 3, 4, 6, 12) if (high - low) / s <= 8)
    hours = range(int(np.ceil((first + low) / step)) * step, int(first + high) + 1, step)
    return [{"place": place(hour - first), "label": f"{hour % 24:02d}:00"} for hour in hours]


def density_scale(material: NightMaterial) -> dict[str, Any] | None:
    """Number densities at 15 km of night and models on one line, places in percent."""
    model = material.usable("reference_model")
    if model is None:
        return None
    known = model.facts["number_density_15km_in_per_cm3"]
    profile = material.usable("density_profile")
    value = profile.facts["number_density_15km_in_per_cm3"] if profile else None
    error = profile.facts["number_density_15km_error_in_per_cm3"] if profile else 0.0
    ends = [*known.values(), *([value - error, value + error] if profile else [])]
    pad = 0.12 * (max(ends) - min(ends)) or 0.01 * max(ends)
    low, high = min(ends) - pad, max(ends) + pad

    def place(density: float) -> float:
        return round(100 * (density - low) / (high - low), 2)

    edges = density_boundaries({name: n / u.cm**3 for name, n in known.items()})
    return {
        "models": [
            {
                "season": season,
                "place": place(density),
                "density": rounded(density * 1e-18, digits=4)[0],
                "chosen": season == model.facts["selection"]["season"],
            }
            for season, density in sorted(known.items(), key=lambda entry: entry[1])
        ],
        "boundaries": [place(edge.to_value(1 / u.cm**3)) for edge in edges],
        "night": None
        if profile is None
        else {
            "place": place(value),
            "begin": place(value - error),
            "width": round(place(value + error) - place(value - error), 2),
        },
        "unit": f"{power_of_ten(18)} cm⁻³",
    }


def product_facts(material: NightMaterial) -> list[dict[str, str]]:
    """Rows of the table of products, in the order of the steps."""
    failed = {record.get("step") for record in material.failures}
    absent = {entry["path"]: entry["reason"] for entry in absent_products(material)}
    rows = []
    for step in STEPS:
        for path in step.products:
            product = material.products.get(path)
            if product is None:
                reason = absent.get(path, "left out: the date chose the reference model")
                rows.append(_product_row(path, "absent", reason))
                continue
            state, word = "good", product.facts.get("status", "written")
            if product.problem:
                state, word = "bad", product.problem
            elif step.name in failed:
                state, word = "bad", "of an earlier run; the last one failed"
            rows.append(
                _product_row(path, state, word)
                | {
                    "link": product.link,
                    "id": product.header.get("CTA PRODUCT ID", ""),
                    "sha256": product.sha256,
                    "size": _readable_size(product.size),
                    "description": product.header.get("CTA PRODUCT DESCRIPTION", ""),
                }
            )
    return rows


def _product_row(path: str, state: str, word: str) -> dict[str, str]:
    empty = dict.fromkeys(("link", "id", "sha256", "size", "description"), "")
    return {"path": path, "state": state, "status": word} | empty


def _readable_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.1f} kB"


def input_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """Inputs of all products, each once: role, path, checksum, which products used it."""
    own = {product.sha256 for product in material.products.values()}
    inputs: dict[tuple[str, str], dict[str, Any]] = {}
    for product in material.products.values():
        for entry in product.facts.get("inputs", ()):
            if entry["sha256"] in own:
                continue
            key = entry["path"], entry["sha256"]
            row = inputs.setdefault(key, entry | {"used_by": []})
            row["used_by"].append(product.path.rsplit("/", 1)[-1].split(".")[0])
    return sorted(inputs.values(), key=lambda row: (row["role"], row["path"]))


def configuration_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """Configuration of each Tool that made a product, with its digest."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for product in material.products.values():
        if "configuration" not in product.facts:
            continue
        tool = product.header.get("CTA ACTIVITY NAME", "unknown")
        digest = product.facts["configuration_digest"]
        values = {
            key: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for key, value in product.facts["configuration"].items()
            if key not in ("night", "category")
        }
        rows[tool, digest] = {"tool": tool, "digest": digest, "values": values}
    return list(rows.values())


def versions(material: NightMaterial) -> dict[str, str]:
    """Software behind the products; several versions of one package are all named."""
    found: dict[str, set[str]] = {}
    for product in material.products.values():
        for name, version in product.facts.get("software", {}).items():
            found.setdefault(name, set()).add(version)
    names = sorted(found, key=lambda name: (name != "calibpipe", name))
    return {name: ", ".join(sorted(found[name])) for name in names}


def five_layers(material: NightMaterial) -> dict[str, Any] | None:
    """Parameters of CORSIKA's five layers and the cards that hold them."""
    model = material.usable("atmospheric_model")
    if model is None:
        return None
    layers = model.facts["five_layers"]
    columns = ("lower_boundary_in_km", "a_in_g_per_cm2", "b_in_g_per_cm2", "c_in_cm")
    return {
        "rows": [
            [str(i + 1), f"{h:.3f}", *(f"{x:.7g}".replace("-", "\N{MINUS SIGN}") for x in abc)]
            for i, (h, *abc) in enumerate(zip(*(layers[name] for name in columns), strict=True))
        ],
        "cards": "\n".join(layers["steering_cards"]),
    }
