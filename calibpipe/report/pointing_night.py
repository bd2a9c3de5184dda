"""What a night has of the pointing of its telescopes: products that can be used, offsets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import astropy.units as u
import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from .material import FoundProduct, NightMaterial, Step

__all__ = [
    "OF_MEDIAN",
    "OF_MODEL",
    "Offsets",
    "TelescopePointing",
    "arcsec",
    "pointing_steps",
    "pointing_telescopes",
    "reference_offsets",
]

TRACKING, PSF, MODEL = "star_tracking", "star_psf", "pointing_model"
OF_MODEL, OF_MEDIAN = "pointing model", "median of the night"


def pointing_steps(
    tracked: Mapping[str, Sequence[str]],
    imaged: Mapping[str, Sequence[str]],
    modelled: Iterable[str] = (),
    known: Iterable[str] = (),
) -> tuple[Step, ...]:
    """Steps of the pointing of a night, each after what it needs.

    Parameters
    ----------
    tracked, imaged : mapping of str to sequence of str
        Observation blocks (``OBSID1``) of each array element with star tracking, and with a point
        spread function of stars.
    modelled : iterable of str
        Array elements with a pointing model; it needs certified products, no step of the night.
    known : iterable of str
        Steps of cameras and muon rings; others are not needed.
    """
    known, modelled, steps = set(known), set(modelled), []
    for name in sorted({*tracked, *imaged, *modelled}):
        for kind, blocks in ((TRACKING, tracked), (PSF, imaged)):
            for block in blocks.get(name, ()):
                needs = [f"{name}/camera/coefficients.{block}"]
                needs += [f"{name}/throughput/muon_psf"] if kind == PSF else []
                own = tuple(need for need in needs if need in known)
                step = f"{name}/pointing/{kind}.{block}"
                steps.append(Step(step, (f"{step}.h5",), ("atmosphere/density_profile", *own)))
        if name in modelled:
            steps.append(Step(f"{name}/pointing/{MODEL}", (f"{name}/pointing/{MODEL}.h5",)))
    return tuple(steps)


def arcsec(column: u.Quantity) -> NDArray:
    """Column of angles in arcsec."""
    return np.asarray(u.Quantity(column).to_value(u.arcsec), float)


@dataclass(frozen=True)
class Offsets:
    """Offsets of a telescope, true direction minus drive, one row a block of time.

    Parameters
    ----------
    begin, end : ndarray, shape (n,)
        Days of matplotlib, UTC.
    value, stat, sys : ndarray, shape (n, 2)
        dlon and dlat with their errors, arcsec; NaN in rows that are not valid.
    is_valid : ndarray, shape (n,), bool
    status, observation : ndarray, shape (n,), str
        Why a row is not valid; ``OBSID1``.
    azimuth, altitude : ndarray, shape (n,)
        Of the drive, deg.
    n_stars : ndarray, shape (n,), int
    """

    begin: NDArray
    end: NDArray
    value: NDArray
    stat: NDArray
    sys: NDArray
    is_valid: NDArray
    status: NDArray
    observation: NDArray
    azimuth: NDArray
    altitude: NDArray
    n_stars: NDArray

    def __len__(self) -> int:
        return len(self.begin)

    @property
    def error(self) -> NDArray:
        """Statistical and systematic error of both axes together, on the sky, arcsec."""
        return np.sqrt(np.sum(self.stat**2 + self.sys**2, axis=1))


@dataclass(frozen=True)
class TelescopePointing:
    """What a night has of the pointing of one telescope; what cannot be used is left out.

    Parameters
    ----------
    name : str
    tracking, psf : dict of str to FoundProduct
        By observation block.
    model, muons : FoundProduct or None
        Pointing model; point spread function of muon rings.
    steps : tuple of str
        What there is a trace of, or is expected: ``star_tracking.OBSID1``.
    """

    name: str
    tracking: dict[str, FoundProduct] = field(default_factory=dict)
    psf: dict[str, FoundProduct] = field(default_factory=dict)
    model: FoundProduct | None = None
    muons: FoundProduct | None = None
    steps: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``LSTN``."""
        return self.name.split("-")[0]

    @property
    def has_products(self) -> bool:
        """Whether there is anything of it."""
        return bool(self.tracking or self.psf or self.model)

    @property
    def offsets(self) -> Offsets | None:
        """Of all observation blocks, in the order of time; None without star tracking."""
        parts = [_offsets(product, block) for block, product in self.tracking.items()]
        parts = [part for part in parts if len(part)]
        if not parts:
            return None
        order = np.argsort(np.concatenate([part.begin for part in parts]), kind="stable")
        names = Offsets.__dataclass_fields__
        return Offsets(*(np.concatenate([getattr(p, n) for p in parts])[order] for n in names))


def _offsets(product: FoundProduct, block: str) -> Offsets:
    table: Table = product.tables["pointing"]
    middle = np.atleast_1d(table["time"].utc.plot_date) if len(table) else np.zeros(0)
    half = u.Quantity(table["duration"], u.s).to_value(u.day) / 2
    axes = ("dlon", "dlat")
    value, stat, sys = (
        np.stack([arcsec(table[f"{axis}{suffix}"]) for axis in axes], axis=1)
        for suffix in ("", "_stat_error", "_sys_error")
    )
    return Offsets(
        middle - half,
        middle + half,
        value,
        stat,
        sys,
        np.asarray(table["is_valid"], bool) & np.isfinite(value).all(axis=1),
        np.asarray(table["status"], str),
        np.full(len(table), block),
        u.Quantity(table["azimuth"]).to_value(u.deg),
        u.Quantity(table["altitude"]).to_value(u.deg),
        np.asarray(table["n_stars"], int),
    )


def pointing_telescopes(material: NightMaterial) -> list[TelescopePointing]:
    """Telescopes whose pointing is expected or there, with what there is of it."""
    found: dict[str, dict[str, dict[str, FoundProduct]]] = {}
    steps: dict[str, list[str]] = {}
    for step in material.pointing_steps:
        name, _, rest = step.name.split("/")
        kind, _, block = rest.partition(".")
        steps.setdefault(name, []).append(rest)
        products = found.setdefault(name, {TRACKING: {}, PSF: {}, MODEL: {}})
        product = material.products.get(step.products[0])
        if product is not None and not product.problem:
            products[kind][block] = product
    return [
        TelescopePointing(
            name,
            products[TRACKING],
            products[PSF],
            products[MODEL].get(""),
            _muons(name, material),
            tuple(steps[name]),
        )
        for name, products in found.items()
    ]


def _muons(name: str, material: NightMaterial) -> FoundProduct | None:
    """Point spread function of muon rings, if they measured one."""
    product = material.used.get(f"{name}/throughput/muon_psf.h5")
    if product is None or product.problem or not product.tables["psf"][0]["is_valid"]:
        return None
    return product


def reference_offsets(telescope: TelescopePointing) -> tuple[str, NDArray] | None:
    """What the offsets of a night are compared with, by name, shape (n, 2), arcsec.

    The pointing model, if it was measured where the telescope looked; else the median of the valid
    rows. None without a valid row.
    """
    offsets = telescope.offsets
    if offsets is None or not offsets.is_valid.any():
        return None
    if telescope.model is not None:
        from ..pointing.pointing_model import predicted_offsets
        from ..pointing.pointing_model_table import pointing_model_of

        model = pointing_model_of(telescope.model.tables["terms"], telescope.model.facts)
        known = np.isfinite(offsets.azimuth) & (offsets.altitude > 0)
        if model.covers(offsets.azimuth[known], offsets.altitude[known]).all():
            place = offsets.azimuth[known], offsets.altitude[known]
            predicted = np.full(offsets.value.shape, np.nan)
            predicted[known] = predicted_offsets(*place, model).offset
            return OF_MODEL, predicted
    middle = np.median(offsets.value[offsets.is_valid], axis=0)
    return OF_MEDIAN, np.broadcast_to(middle, offsets.value.shape)
