"""What a night has of aerosols and clouds: products that can be used, columns, times."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from astropy.time import Time
from matplotlib import dates
from numpy.typing import NDArray

from .material import FoundProduct, NightMaterial, Step
from .wording import listed

__all__ = [
    "AEROSOL_PRODUCTS",
    "NAMES",
    "AerosolNight",
    "aerosol_night",
    "aerosol_steps",
    "clock",
    "days",
    "fact",
    "numbers",
    "period",
    "telescope_names",
    "texts",
    "value_with_errors",
    "why_not",
]

AEROSOL_PRODUCTS = {  # file, and the steps of the same folder that each needs
    "clear_night": ("clear_night.ecsv", ()),
    "lidar": ("lidar.ecsv", ("density_profile",)),
    "allsky": ("allsky.ecsv", ()),
    "transparency_coefficient": ("transparency_coefficient.ecsv", ()),
    "observation_conditions": (
        "observation_conditions.h5",
        ("clear_night", "lidar", "allsky", "transparency_coefficient"),
    ),
}
NAMES = {
    "clear_night": "Clear night (FRAM)",
    "lidar": "LIDAR",
    "allsky": "All-sky camera",
    "transparency_coefficient": "Cherenkov transparency",
    "observation_conditions": "Observation conditions",
}
_SHOWN = 3  # reasons that a text names


def aerosol_steps(wanted: Iterable[str]) -> tuple[Step, ...]:
    """Steps of aerosols and clouds, each after what it needs.

    Parameters
    ----------
    wanted : iterable of str
        Keys of `AEROSOL_PRODUCTS`: those that there are a trace of, or that are expected.
    """
    names = [name for name in AEROSOL_PRODUCTS if name in set(wanted)]
    known = {*names, "density_profile"}
    return tuple(
        Step(
            f"atmosphere/{name}",
            (f"atmosphere/{AEROSOL_PRODUCTS[name][0]}",),
            tuple(f"atmosphere/{need}" for need in AEROSOL_PRODUCTS[name][1] if need in known),
        )
        for name in names
    )


@dataclass(frozen=True)
class AerosolNight:
    """Products of aerosols and clouds that can be used; None for what is absent or empty.

    Parameters
    ----------
    clear_night, lidar, allsky, transparency_coefficient, observation_conditions : FoundProduct
    empty : tuple of str
        Names of products that are there without a single row.
    """

    clear_night: FoundProduct | None = None
    lidar: FoundProduct | None = None
    allsky: FoundProduct | None = None
    transparency_coefficient: FoundProduct | None = None
    observation_conditions: FoundProduct | None = None
    empty: tuple[str, ...] = ()


def aerosol_night(material: NightMaterial) -> AerosolNight | None:
    """Products of aerosols and clouds; None where none is there or expected."""
    if not material.aerosol_steps:
        return None
    usable, empty = {}, []
    for step in material.aerosol_steps:
        product, name = material.products.get(step.products[0]), step.name.split("/")[1]
        if product is None or product.problem:
            continue
        if product.table is not None and len(product.table) == 0:
            empty.append(name)
        else:
            usable[name] = product
    return AerosolNight(**usable, empty=tuple(empty))


def texts(column: NDArray) -> NDArray:
    """Column of text; empty where the file has nothing."""
    return np.asarray(np.ma.filled(np.ma.asarray(column).astype(str), ""))


def numbers(column: NDArray) -> NDArray:
    """Column of numbers without its unit; NaN where the file has nothing."""
    values = np.ma.asarray(getattr(column, "value", column)).astype(float)
    return np.asarray(np.ma.filled(values, np.nan))


def days(column: NDArray) -> NDArray:
    """Column of UTC times in days of matplotlib."""
    return np.asarray(Time(texts(column).tolist(), format="isot", scale="utc").plot_date)


def fact(product: FoundProduct, name: str) -> float:
    """Number of a header; NaN where there is none."""
    value = product.facts.get(name)
    return float("nan") if value is None else float(value)


def value_with_errors(product: FoundProduct, name: str) -> tuple[float, float, float]:
    """Value of a header with both errors of the product."""
    value, stat, sys = (fact(product, key) for key in (name, "stat_error", "sys_error"))
    return value, stat, sys


def clock(day: float) -> str:
    """``23:05`` of a day of matplotlib, to the nearest minute."""
    return f"{dates.num2date(round(1440 * day) / 1440):%H:%M}"


def period(begin: float, end: float) -> str:
    """``23:05 – 01:10``."""
    first, last = clock(begin), clock(end)
    return first if first == last else f"{first} – {last}"


def why_not(reasons: Iterable[str]) -> str:
    """Reasons with how often each is given, the commonest first."""
    known = Counter(reason for reason in reasons if reason)
    told = [f"{reason} ({number})" for reason, number in known.most_common(_SHOWN)]
    others = len(known) - len(told)
    return listed(told + ([f"{others} others"] if others > 0 else []))


def telescope_names(tel_ids: Iterable[int]) -> list[str]:
    """Array elements of numbers; the number where CTAO has no such telescope."""
    from ..core.exceptions import ConfigurationError
    from ..core.telescope import array_element

    names = []
    for tel_id in tel_ids:
        try:
            names.append(array_element(int(tel_id)))
        except ConfigurationError:
            names.append(f"telescope {tel_id}")
    return names
