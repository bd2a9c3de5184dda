"""What a night has of dedicated runs of cameras: products that can be used."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera_numbers import nan_quantiles, night_median
from .material import FoundProduct, NightMaterial, Step

__all__ = [
    "DEDICATED",
    "OF_DEDICATED",
    "DedicatedCamera",
    "dedicated_cameras",
    "dedicated_steps",
    "gain_ratios",
    "product_path",
]

SPE, TRANSFER, CROSSTALK = "single_photoelectron", "photon_transfer", "crosstalk"
PEDESTAL, DRS4 = "pedestal", "drs4"
PDE, EXCLUSION = "pde", "excluded_pixels"
DEDICATED = {  # each after what it may need; what its file is called
    SPE: (SPE,),
    TRANSFER: (TRANSFER,),
    PEDESTAL: (PEDESTAL,),
    CROSSTALK: (CROSSTALK,),
    DRS4: (DRS4,),
    PDE: (PDE, "photon_detection_efficiency"),
    EXCLUSION: (EXCLUSION,),
}
NEEDS = {
    TRANSFER: (SPE,),
    PEDESTAL: (TRANSFER,),
    CROSSTALK: (TRANSFER,),
    EXCLUSION: (SPE, TRANSFER, CROSSTALK),
}
_KIND_OF = {stem: kind for kind, stems in DEDICATED.items() for stem in stems}
OF_RUNS = re.compile(r"[^/]+/camera/run_statistics\.[^/]+")
OF_DEDICATED = re.compile(rf"([^/]+)/camera/({'|'.join(_KIND_OF)})")


def product_path(step: str) -> str:
    """File that a step makes: ECSV of a photon detection efficiency, else HDF5."""
    return f"{step}.{'ecsv' if step.rsplit('/', 1)[-1] in DEDICATED[PDE] else 'h5'}"


def dedicated_steps(
    paths: Iterable[str], known: Iterable[str] = (), failed: Iterable[str] = ()
) -> tuple[Step, ...]:
    """Steps of dedicated products of a night, each after what it needs.

    Parameters
    ----------
    paths : iterable of str
        Products in the folder of the night, made or expected (``LSTN-01/camera/crosstalk.h5``).
    known : iterable of str
        Steps of cameras, of which excluded pixels need the coefficients.
    failed : iterable of str
        Steps that failed; statistics of runs among them are what photon transfer and pedestal wait
        for.
    """
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        match = OF_DEDICATED.fullmatch(path.rsplit(".", 1)[0])
        if match:
            found.setdefault(match[1], {})[_KIND_OF[match[2]]] = path
    known, runs = list(known), [step for step in failed if OF_RUNS.fullmatch(step)]
    steps = [Step(name, ()) for name in runs]
    for name in sorted(found):
        own = {kind: path.rsplit(".", 1)[0] for kind, path in found[name].items()}
        for kind in filter(own.__contains__, DEDICATED):
            needs = [own[need] for need in NEEDS.get(kind, ()) if need in own]
            if kind in (TRANSFER, PEDESTAL):
                needs += [step for step in runs if step.startswith(f"{name}/")]
            if kind == EXCLUSION:
                needs += [step for step in known if step.startswith(f"{name}/camera/coefficients")]
            steps.append(Step(own[kind], (found[name][kind],), tuple(needs)))
    return tuple(steps)


@dataclass(frozen=True)
class DedicatedCamera:
    """What a night has of one camera; what cannot be used is left out.

    Parameters
    ----------
    name : str
        Array element.
    products : dict of str to FoundProduct
        By `DEDICATED`.
    coefficients : tuple of FoundProduct
        Of the night's observations.
    steps : tuple of str
        What there is a trace of, or is expected, by `DEDICATED`.
    """

    name: str
    products: dict[str, FoundProduct]
    coefficients: tuple[FoundProduct, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``LSTN``."""
        return self.name.split("-")[0]

    @property
    def has_set(self) -> bool:
        """Whether runs of this night calibrated the camera, not only excluded pixels."""
        return self.has_gains or any(kind in self.products for kind in (PEDESTAL, DRS4))

    @property
    def has_gains(self) -> bool:
        """Whether there were runs with light, of which gains are made."""
        return any(kind in self.products for kind in (SPE, TRANSFER, CROSSTALK))

    def of_spe(self, column: str, channel: int = 0, *, good_only: bool = True) -> NDArray | None:
        """Numbers of single photoelectrons, (n_pixels,); NaN where a pixel is none to rely on."""
        if SPE not in self.products:
            return None
        table = self.products[SPE].tables["pixels"]
        table = table[np.asarray(table["channel"]) == channel]
        if not len(table):
            return None
        values = np.asarray(table[column], float)
        bad = np.asarray(table["outlier_mask"], bool) & good_only
        found = np.full(len(table), np.nan)
        found[np.asarray(table["pixel_id"], int)] = np.where(bad, np.nan, values)
        return found

    def of_transfer(self, column: str) -> NDArray | None:
        """Numbers of photon transfer, (n_channels, n_pixels); NaN where a pixel has a status."""
        if TRANSFER not in self.products:
            return None
        row = self.products[TRANSFER].tables["pixels"][0]
        return np.where(np.asarray(row["status"]) == 0, np.asarray(row[column], float), np.nan)

    def of_drs4(self, column: str, table: str = "pixels") -> NDArray | None:
        """Numbers of DRS4 corrections, (..., n_channels, n_pixels); NaN of pixels with a status.

        None without the product, or the table of sampling times.
        """
        if DRS4 not in self.products or table not in self.products[DRS4].tables:
            return None
        tables = self.products[DRS4].tables
        values = tables[table][0][column]
        good = np.asarray(tables["pixels"][0]["status"]) == 0
        return np.where(good, np.asarray(getattr(values, "value", values), float), np.nan)

    def of_pedestal(self, column: str) -> NDArray | None:
        """Numbers of the pedestal, (n_channels, n_pixels); NaN where its status leaves none."""
        if PEDESTAL not in self.products:
            return None
        return np.asarray(self.products[PEDESTAL].tables["pixels"][0][column], float)

    def of_ratio(self, column: str) -> NDArray | None:
        """Numbers of the ratio of gains, (n_pixels,); NaN where a pixel has a status."""
        if TRANSFER not in self.products or "ratio" not in self.products[TRANSFER].tables:
            return None
        row = self.products[TRANSFER].tables["ratio"][0]
        return np.where(np.asarray(row["status"]) == 0, np.asarray(row[column], float), np.nan)

    def ffactor_gain(self) -> NDArray | None:
        """Gain of the night's coefficients, median over observations, (n_channels, n_pixels)."""
        gains = [
            night_median(product.table, "gain")
            for product in self.coefficients
            if np.any(product.table["is_valid"])
        ]
        if not gains:
            return None
        return nan_quantiles(np.stack(gains), (0.5,), axis=0)[0]


def dedicated_cameras(material: NightMaterial) -> list[DedicatedCamera]:
    """Cameras with dedicated products, expected or there, with what there is of them."""
    found: dict[str, dict[str, FoundProduct]] = {}
    steps: dict[str, list[str]] = {}
    for step in material.dedicated_steps:
        match = OF_DEDICATED.fullmatch(step.name)
        if match is None:  # statistics of a run
            continue
        name, stem = match.groups()
        steps.setdefault(name, []).append(_KIND_OF[stem])
        products = found.setdefault(name, {})
        product = material.products.get(step.products[0])
        if product is not None and not product.problem:
            products[_KIND_OF[stem]] = product
    coefficients = material.cameras
    return [
        DedicatedCamera(
            name,
            products,
            tuple(p for p in coefficients if p.facts.get("array_element") == name),
            tuple(steps[name]),
        )
        for name, products in found.items()
    ]


def gain_ratios(camera: DedicatedCamera) -> dict[str, np.ndarray]:
    """Ratios of gains of high gain from different methods, by what is over what."""
    gains = {"photon transfer": None, "single photoelectrons": camera.of_spe("gain")}
    transfer, ffactor = camera.of_transfer("gain"), camera.ffactor_gain()
    gains["photon transfer"] = None if transfer is None else transfer[0]
    gains["F-factor"] = None if ffactor is None else ffactor[0]
    known = [(name, values) for name, values in gains.items() if values is not None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            f"{a} / {b}": x / y
            for k, (a, x) in enumerate(known)
            for b, y in known[k + 1 :]
            if x.shape == y.shape
        }
