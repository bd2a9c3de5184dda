"""What the page of a night is made from: steps, products as found, failure records, warnings."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from astropy.table import QTable, Table

from ..core.night import AstronomicalNight
from ..core.site import Site

if TYPE_CHECKING:
    from ctapipe.instrument import CameraGeometry

__all__ = [
    "ARRAY_RESULTS",
    "CO2_METHODS",
    "DL0_INDEX",
    "HISTORY",
    "STEPS",
    "WEATHER_STEPS",
    "FoundProduct",
    "NightMaterial",
    "Step",
    "ThroughputLimits",
    "array_steps",
    "camera_steps",
    "illuminator_steps",
    "is_of_cameras",
    "throughput_steps",
]

CO2_METHODS = {
    "measured": "measured",
    "cached": "from the cache",
    "last_known": "last known annual mean",
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

WEATHER_STEPS = ("simulation/meteo", "atmosphere/meteo_data", "atmosphere/density_profile")
"""Steps that a night does without when the date chooses the reference model."""

DL0_INDEX = "array/dl0_index"
HISTORY = "array/throughput_history"
ARRAY_RESULTS = ("inter_calibration", "cross_calibration", "timing")
_OF_CAMERAS = re.compile(
    rf"{DL0_INDEX}|[A-Z]{{3,4}}-\d\d/camera/(?:pixel_statistics|coefficients)\..*|simulation/[A-Z]{{3,4}}-\d\d"
)


def is_of_cameras(step: str) -> bool:
    """Whether a step belongs to the nightly calibration of cameras: index, block, simulated DL0."""
    return _OF_CAMERAS.fullmatch(step) is not None


def camera_steps(
    blocks: Iterable[tuple[str, int]], simulated: Iterable[str] = ()
) -> tuple[Step, ...]:
    """Steps of the cameras of a night, each after what it needs.

    Parameters
    ----------
    blocks : iterable of (str, int)
        Array element and observation number, as in the index of DL0 files.
    simulated : iterable of str
        Steps that simulate DL0 (``simulation/LSTN-01``) and that the index waits for.
    """
    simulated = tuple(simulated)
    steps = [Step(name, ()) for name in simulated]
    steps.append(Step(DL0_INDEX, (f"{DL0_INDEX}.ecsv",), simulated))
    for array_element, obs_id in blocks:
        statistics, coefficients = (
            f"{array_element}/camera/{kind}.OBSID{obs_id}"
            for kind in ("pixel_statistics", "coefficients")
        )
        steps.append(Step(statistics, (f"{statistics}.h5",), (DL0_INDEX,)))
        steps.append(Step(coefficients, (f"{coefficients}.h5",), (statistics,)))
    return tuple(steps)


def throughput_steps(
    blocks: Mapping[str, Sequence[str]], calibrated: Iterable[str] = ()
) -> tuple[Step, ...]:
    """Steps of the muon rings of a night, each after what it needs.

    Parameters
    ----------
    blocks : mapping of str to sequence of str
        Observation blocks (``OBSID1``) of each array element.
    calibrated : iterable of str
        Steps that make coefficients; rings of other blocks need none of these.
    """
    calibrated, steps, model = set(calibrated), [], "atmosphere/atmospheric_model"
    for array_element, names in blocks.items():
        rings = [f"{array_element}/throughput/muon_rings.{block}" for block in names]
        for name, block in zip(rings, names, strict=True):
            coefficients = f"{array_element}/camera/coefficients.{block}"
            needs = (coefficients,) if coefficients in calibrated else ()
            steps.append(Step(name, (f"{name}.h5",), (model, *needs)))
        for kind in ("muon_throughput", "muon_psf"):
            name = f"{array_element}/throughput/{kind}"
            steps.append(Step(name, (f"{name}.h5",), (model, *rings)))
    return tuple(steps)


def illuminator_steps(blocks: Iterable[tuple[str, str]]) -> tuple[Step, ...]:
    """Steps of the flashes of an illuminator; which coefficients they need, the product says.

    Parameters
    ----------
    blocks : iterable of (str, str)
        Array element and observation block (``OBSID2``).
    """
    names = [f"{element}/throughput/illuminator_throughput.{block}" for element, block in blocks]
    return tuple(Step(name, (f"{name}.h5",)) for name in names)


def array_steps(
    blocks: Mapping[str, Sequence[str]],
    results: Sequence[str] = ARRAY_RESULTS,
    muons: Iterable[str] = (),
) -> tuple[Step, ...]:
    """Steps of the array as a whole, each after what it needs.

    Parameters
    ----------
    blocks : mapping of str to sequence of str
        Observation blocks (``OBSID1``) with asymmetries of each quantity: ``energy``, ``image``.
    results : sequence of str
        Those of `ARRAY_RESULTS` that there are, or that are expected.
    muons : iterable of str
        Steps of muon throughputs, which the cross-calibration takes in.
    """
    names = {
        quantity: tuple(f"array/{quantity}_asymmetry.{block}" for block in of_quantity)
        for quantity, of_quantity in blocks.items()
    }
    images, energies = names.get("image", ()), names.get("energy", ())
    needs = {
        "inter_calibration": images or energies,
        "cross_calibration": (*energies, *muons),
        "timing": (),
    }
    steps = [Step(name, (f"{name}.h5",)) for name in (*energies, *images)]
    steps += [Step(f"array/{k}", (f"array/{k}.h5",), needs[k]) for k in results]
    return tuple(steps)


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
    table : Table or None
        Of an ECSV product, or of camera coefficients.
    content : dict
        Of a JSON product.
    geometry : CameraGeometry or None
        Of camera coefficients, muon rings and stars.
    tables : dict
        Name to table, of muon rings, throughputs, pointing, and of the array.
    problem : str
        Why it cannot be used; empty if it can.
    """

    path: str
    link: str
    size: int
    sha256: str
    header: dict[str, Any] = field(default_factory=dict)
    table: Table | None = None
    content: dict[str, Any] = field(default_factory=dict)
    geometry: "CameraGeometry | None" = None
    tables: dict[str, Table] = field(default_factory=dict)
    problem: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The header of CalibPipe."""
        return self.header.get("calibpipe", {})


@dataclass(frozen=True)
class ThroughputLimits:
    """Where the page begins to doubt a throughput.

    Parameters
    ----------
    min_rings : int
        Fewer of a telescope in a night.
    sys_error : float
        Larger relative systematic error.
    difference : float
        Farther from the other telescopes of its kind, relative.
    """

    min_rings: int = 100
    sys_error: float = 0.05
    difference: float = 0.1


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
        Path in the folder of the night to `FoundProduct`; only what is there. What a choice by
        date left behind unused is among them, but not in `used`.
    failures : sequence of dict
        Records that failed steps of this night left.
    log_warnings : sequence of (str, str)
        Step and warning.
    models : dict
        Season to reference model of the pool; may be empty.
    margin_limit : float
        Distance to the boundary between two models, in sigma, below which the page warns.
    co2_age_limit : float
        Days without measured CO2 above which the page says so.
    forced_by_date : bool
        Whether the date was forced to choose the reference model, made or not.
    camera_steps : tuple of Step
        Of the cameras; empty if no camera is asked for.
    dedicated_steps : tuple of Step
        Of dedicated runs of the cameras, and of their excluded pixels.
    masked_limit : float
        Part of the pixels of a camera that may be masked without a warning.
    throughput_steps : tuple of Step
        Of the muon rings; empty if no throughput is asked for.
    throughput_limits : ThroughputLimits
    illuminator_steps : tuple of Step
        Of flashes of external light.
    history_steps : tuple of Step
        Of the throughput of the nights before.
    array_steps : tuple of Step
        Of the array as a whole; empty if nothing of it is there or asked for.
    aerosol_steps : tuple of Step
        Of aerosols and clouds; empty if nothing of them is there or asked for.
    pointing_steps : tuple of Step
        Of the pointing of the telescopes; empty if nothing of it is there or asked for.
    pointing_limit : float
        Error of a direction on the sky above which the page warns, arcsec.
    valid_blocks_limit : float
        Part of the blocks of star tracking that should be valid, else the page warns.
    good_time_limit : float
        Part of the night that should be good, else the page warns.
    transparency_before : dict
        Night to its transparency coefficient, of nights before that can be used.
    verdicts : sequence of dict
        Verification records.
    certifications : sequence of dict
        Records of what was certified and what was refused.
    """

    site: Site
    night: str
    category: str
    darkness: AstronomicalNight | None
    products: dict[str, FoundProduct]
    failures: Sequence[dict[str, Any]] = ()
    log_warnings: Sequence[tuple[str, str]] = ()
    models: dict[str, QTable] = field(default_factory=dict)
    margin_limit: float = 2.0
    co2_age_limit: float = 400.0
    forced_by_date: bool = False
    camera_steps: tuple[Step, ...] = ()
    dedicated_steps: tuple[Step, ...] = ()
    masked_limit: float = 0.05
    throughput_steps: tuple[Step, ...] = ()
    throughput_limits: ThroughputLimits = ThroughputLimits()
    illuminator_steps: tuple[Step, ...] = ()
    history_steps: tuple[Step, ...] = ()
    array_steps: tuple[Step, ...] = ()
    aerosol_steps: tuple[Step, ...] = ()
    pointing_steps: tuple[Step, ...] = ()
    pointing_limit: float = 14.0
    valid_blocks_limit: float = 0.8
    good_time_limit: float = 0.8
    transparency_before: dict[str, FoundProduct] = field(default_factory=dict)
    verdicts: Sequence[dict[str, Any]] = ()
    certifications: Sequence[dict[str, Any]] = ()

    def usable(self, stem: str) -> FoundProduct | None:
        """Product ``atmosphere/<stem>`` if it is there and can be used."""
        for suffix in (".ecsv", ".json"):
            product = self.used.get(f"atmosphere/{stem}{suffix}")
            if product is not None and not product.problem:
                return product
        return None

    @property
    def by_date(self) -> bool:
        """Whether the date chose the reference model, or was forced to."""
        model = self.products.get("atmosphere/reference_model.ecsv")
        chosen = model is not None and not model.problem and model.facts["selection"]["method"]
        return self.forced_by_date or chosen == "date"

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """Steps of all domains, whether this night needs them or not."""
        more = (
            self.dedicated_steps
            + self.throughput_steps
            + self.illuminator_steps
            + self.history_steps
        )
        more += self.pointing_steps + self.array_steps
        return STEPS + self.aerosol_steps + self.camera_steps + more

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that this night needs."""
        return tuple(s for s in self.all_steps if not (self.by_date and s.name in WEATHER_STEPS))

    @property
    def cameras(self) -> list[FoundProduct]:
        """Coefficients of cameras that can be used."""
        return [
            product
            for product in self.used.values()
            if product.facts.get("kind") == "camera/coefficients" and not product.problem
        ]

    @property
    def used(self) -> dict[str, FoundProduct]:
        """Products of the steps that this night needs."""
        paths = {path for step in self.steps for path in step.products}
        return {path: product for path, product in self.products.items() if path in paths}

    @property
    def unused(self) -> dict[str, FoundProduct]:
        """Products of an earlier run that this night does without."""
        used = self.used
        return {path: product for path, product in self.products.items() if path not in used}
