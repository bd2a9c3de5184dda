"""Values over the nights of a site: a figure a quantity, a series a telescope and category.

Years of nights of many telescopes stay a page of bounded size: nights are shown one by one up to a
number of points, calendar months before them as medians.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archive.trends import NightValue, SiteTrends

__all__ = ["QUANTITIES", "Quantity", "Series", "TrendFigure", "trend_figures"]

_NOT_KNOWN = float("nan")


@dataclass(frozen=True)
class Quantity:
    """How a quantity is shown.

    Parameters
    ----------
    title, label : str
        Of the figure, of its axis (without unit).
    caption : str
        What it is from, and what good looks like.
    unit : str
        As shown; empty: a pure number.
    scale : float
        From the archive's unit to this one.
    limits : str
        Metric of the same kind whose limits are those of the quantity; empty: there are none.
    """

    title: str
    label: str
    caption: str
    unit: str = ""
    scale: float = 1.0
    limits: str = ""


QUANTITIES = {  # in the order of the page
    "optical_throughput": Quantity(
        "Optical throughput from muon rings",
        "optical throughput",
        "Mirrors lose some percent a year; a step is dust, dew, a washed mirror or a new gain.",
        limits="throughput",
    ),
    "illuminator_throughput": Quantity(
        "Throughput from flashes of external light",
        "throughput",
        "Photoelectrons per photon on the mirror, from flashes of known light.",
    ),
    "relative_throughput": Quantity(
        "Throughput relative to telescopes of the type, from showers",
        "relative throughput",
        "From images of showers that pairs of telescopes share; the mean of a type is about 1.",
    ),
    "gain": Quantity(
        "Gain of the cameras",
        "gain",
        "F-factor, mean of the usable pixels of high gain. Steps are new voltages, slopes "
        "temperature and ageing.",
        "ADC / p.e.",
    ),
    "pedestal": Quantity(
        "Pedestal of the cameras",
        "pedestal",
        "Mean of the usable pixels of high gain; moves with the temperature of the electronics.",
        "ADC / sample",
    ),
    "muon_psf_width": Quantity(
        "Optical point spread function from muon rings",
        "width σ",
        "Steps are mirrors that were aligned or have moved.",
        "deg",
        limits="width",
    ),
    "star_psf_width": Quantity(
        "Optical point spread function from stars",
        "width σ on the axis",
        "As from muon rings, within three errors of the difference.",
        "deg",
        limits="width",
    ),
    "pointing_offset_azimuth": Quantity(
        "Pointing offset in azimuth",
        "offset on the sky",
        "Mean of the valid blocks of star tracking, to be corrected; within 14 arcsec from one "
        "night to the next.",
        "arcsec",
    ),
    "pointing_offset_altitude": Quantity(
        "Pointing offset in altitude",
        "offset",
        "As in azimuth; slopes are a structure that bends.",
        "arcsec",
    ),
    "pointing_model_residual": Quantity(
        "What the pointing model leaves",
        "rms on the sky",
        "Below 14 arcsec; a rise means that the model is to be measured anew.",
        "arcsec",
        limits="residual_rms",
    ),
    "number_density_15km": Quantity(
        "Number density at 15 km",
        "number density",
        "Decides which reference atmosphere a night is nearest to; changes with the season.",
        "10¹⁸ cm⁻³",
        1e-18,
    ),
    "vertical_aerosol_optical_depth": Quantity(
        "Vertical aerosol optical depth",
        "VAOD",
        "From FRAM, clouds included. A few hundredths are a clear night, some tenths dust of the "
        "Sahara or clouds.",
    ),
    "cherenkov_transparency_coefficient": Quantity(
        "Cherenkov transparency coefficient",
        "CTC",
        "From trigger rates; 1 is a clear night of the reference.",
        limits="transparency",
    ),
    "cloud_fraction": Quantity(
        "Clouded part of the sky", "cloud fraction", "Mean of the frames of the all-sky camera."
    ),
    "co2_mole_fraction": Quantity(
        "Carbon dioxide", "mole fraction", "Grows by 2.5 ppm a year.", "ppm"
    ),
    "time_offset": Quantity(
        "Time offsets of the telescopes",
        "time offset",
        "From showers; the mean of all telescopes is zero. A step is a cable or a clock.",
        "ns",
    ),
}


@dataclass(frozen=True)
class Series:
    """A quantity of one telescope in one category, in the order of time.

    Parameters
    ----------
    array_element : str
        Empty for the site.
    category : str
    day : ndarray
        Evening, in days since the first night of the page; the fraction is the time.
    value, stat, sys : ndarray
        NaN: not known. Of months the median, half the width that has 68 % of the nights, the
        median.
    state : ndarray of int
        0: certified; 1: certified although it failed; 2: failed; 3: passed, not certified.
    number : ndarray of int
        Values that a point stands for; 1: a night.
    """

    array_element: str
    category: str
    day: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray
    state: NDArray
    number: NDArray


@dataclass(frozen=True)
class TrendFigure:
    """What a figure shows.

    Parameters
    ----------
    name : str
        Of the quantity.
    quantity : Quantity
    series : sequence of Series
    limits : tuple of float or None
        In the unit of the figure.
    nights_from : str
        First night that is shown by itself; empty: all are.
    """

    name: str
    quantity: Quantity
    series: Sequence[Series]
    limits: tuple[float, float] | None
    nights_from: str


def trend_figures(trends: SiteTrends, first: date, max_points: int) -> list[TrendFigure]:
    """A figure for each quantity that has a value, in the order of `QUANTITIES`, then others.

    Parameters
    ----------
    trends : SiteTrends
    first : date
        Night that days are counted from.
    max_points : int
        Nights of a figure that are shown one by one.
    """
    groups: dict[str, list[NightValue]] = defaultdict(list)
    for value in trends.values:
        groups[value.quantity].append(value)
    order = [*QUANTITIES, *sorted(set(groups) - set(QUANTITIES))]
    return [
        _figure(name, groups[name], trends, first, max_points) for name in order if name in groups
    ]


def _figure(
    name: str, values: Sequence[NightValue], trends: SiteTrends, first: date, max_points: int
) -> TrendFigure:
    quantity = QUANTITIES.get(name) or _unknown(name, values[0].unit)
    begin = first_single_night(values, max_points)
    single = [value for value in values if value.product.night >= begin]
    early = [value for value in values if value.product.night < begin]
    groups: dict[tuple[str, str], list[list[NightValue]]] = defaultdict(lambda: [[], []])
    for place, part in enumerate((early, single)):
        for value in part:
            groups[value.array_element, value.product.category][place].append(value)
    limits = trends.limits.get((values[0].product.kind, quantity.limits))
    return TrendFigure(
        name,
        quantity,
        [
            _series(key, [*_months(before, first), *(_night(v, first) for v in nights)], quantity)
            for key, (before, nights) in sorted(groups.items())
        ],
        None if limits is None else (quantity.scale * limits[0], quantity.scale * limits[1]),
        begin if early else "",
    )


def _unknown(name: str, unit: str) -> Quantity:
    words = name.replace("_", " ")
    return Quantity(words[0].upper() + words[1:], words, "As the archive has it.", unit)


def first_single_night(values: Iterable[NightValue], max_points: int) -> str:
    """First day of a month from which on at most so many values follow; empty if all do.

    The newest month is always shown night by night.
    """
    nights = sorted((value.product.night for value in values), reverse=True)
    if len(nights) <= max_points:
        return ""
    months = sorted({night[:7] for night in nights[:max_points]}, reverse=True)
    whole = months[:-1] if nights[max_points][:7] == months[-1] else months
    return f"{(whole or months)[-1]}-01"


def _night(value: NightValue, first: date) -> tuple[float, ...]:
    day = (date.fromisoformat(value.product.night) - first).days
    errors = (_NOT_KNOWN if e is None else e for e in (value.stat_error, value.sys_error))
    return day + _part_of_night(value), value.value, *errors, state_of(value), 1


def _part_of_night(value: NightValue) -> float:
    """Days from noon UTC of the evening to the begin of the product, in [0, 1)."""
    evening = np.datetime64(f"{value.product.night}T12:00:00")
    text = value.product.begin_utc
    if not text:
        return 0.5
    days = float((np.datetime64(text[:19]) - evening) / np.timedelta64(1, "D"))
    return min(max(days, 0.0), 0.99)


def state_of(value: NightValue) -> int:
    """0: certified; 1: certified although it failed; 2: failed; 3: passed, not certified."""
    if value.product.is_certified:
        return 0 if value.product.verdict == "PASS" else 1
    return 3 if value.product.verdict == "PASS" else 2


def _months(values: Sequence[NightValue], first: date) -> list[tuple[float, ...]]:
    """Medians of calendar months."""
    groups: dict[str, list[NightValue]] = defaultdict(list)
    for value in values:
        groups[value.product.night[:7]].append(value)
    found: list[tuple[float, ...]] = []
    for nights in groups.values():
        if len(nights) == 1:  # has its own error and state
            found.append(_night(nights[0], first))
            continue
        rows = np.array([_night(value, first) for value in nights])
        day, middle, sys = (float(np.median(rows[:, k])) for k in (0, 1, 3))
        low, high = np.quantile(rows[:, 1], [0.16, 0.84])
        found.append((day, middle, float(high - low) / 2, sys, 0, len(rows)))
    return found


def _series(key: tuple[str, str], rows: Sequence[tuple[float, ...]], quantity: Quantity) -> Series:
    columns = np.array(sorted(rows)).T
    day, value, stat, sys, state, number = columns
    value, stat, sys = (quantity.scale * numbers for numbers in (value, stat, sys))
    return Series(*key, day, value, stat, sys, state.astype(int), number.astype(int))


def compact(figure: TrendFigure, telescopes: Sequence[str]) -> dict[str, Any]:
    """A figure for the page's script: numbers of six digits, what is not known is null."""
    return {
        "id": figure.name.replace("_", "-"),
        "label": axis_label(figure.quantity),
        "unit": figure.quantity.unit,
        "limits": [limit for limit in figure.limits or () if np.isfinite(limit)],
        "series": [
            {
                "tel": telescopes.index(one.array_element) if one.array_element else -1,
                "cat": one.category,
                "t": [round(float(day), 2) for day in one.day],
                "v": _numbers(one.value, 6),
                "s": _numbers(one.stat, 3),
                "y": _numbers(one.sys, 3),
                "f": "".join(map(str, one.state)),
                "n": [int(n) for n in one.number] if (one.number > 1).any() else None,
            }
            for one in figure.series
        ],
    }


def axis_label(quantity: Quantity) -> str:
    """Label with its unit."""
    return f"{quantity.label} ({quantity.unit})" if quantity.unit else quantity.label


def _numbers(values: NDArray, digits: int) -> list[float | None]:
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]
