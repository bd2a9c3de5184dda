"""Products of dedicated runs made by hand: gains, cross-talk, reasons of excluded pixels are known.

Spectra and scan are of few pixels with their real fits, which all pixels of the camera repeat.
"""

from dataclasses import replace
from functools import cache

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from charge_spectra import run as charge_run
from light_scans import F2, LEVELS, scan
from light_scans import truth as light_truth

from calibpipe.camera.drs4_run import Drs4Reason
from calibpipe.camera.drs4_tables import sampling_table
from calibpipe.camera.drs4_time_lapse import TimeLapse
from calibpipe.camera.drs4_timing import SamplingTimes
from calibpipe.camera.gain_ratio import gain_ratio
from calibpipe.camera.light_levels import light_levels
from calibpipe.camera.linearity import linearity
from calibpipe.camera.pedestal import PedestalStatus
from calibpipe.camera.photon_transfer import photon_transfer
from calibpipe.camera.pixel_exclusion import ExclusionReason
from calibpipe.camera.single_photoelectron import single_photoelectrons
from calibpipe.camera.spe_status import SpeStatus
from calibpipe.camera.spe_table import spe_table, spectra_table
from calibpipe.camera.transfer_tables import gain_ratio_table, points_table, transfer_table
from calibpipe.core.products import write_table
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.tools.calculate_crosstalk import KIND as CROSSTALK
from calibpipe.tools.calculate_crosstalk import PAIRS_GROUP
from calibpipe.tools.calculate_drs4_corrections import KIND as DRS4
from calibpipe.tools.calculate_drs4_corrections import LAW_GROUP, SAMPLING_GROUP
from calibpipe.tools.calculate_drs4_corrections import PIXELS_GROUP as DRS4_GROUP
from calibpipe.tools.calculate_drs4_corrections import POINTS_GROUP as DRS4_POINTS
from calibpipe.tools.calculate_pedestal import KIND as PEDESTAL
from calibpipe.tools.calculate_pedestal import PEDESTAL_GROUP
from calibpipe.tools.calculate_photon_transfer import KIND as TRANSFER
from calibpipe.tools.calculate_photon_transfer import PIXELS_GROUP, POINTS_GROUP, RATIO_GROUP
from calibpipe.tools.fit_single_photoelectron import GROUP, SPECTRA_GROUP
from calibpipe.tools.fit_single_photoelectron import KIND as SPE
from calibpipe.tools.import_pde import KIND as PDE
from calibpipe.tools.select_excluded_pixels import HISTORY_GROUP
from calibpipe.tools.select_excluded_pixels import KIND as EXCLUSION
from calibpipe.tools.select_excluded_pixels import PIXELS_GROUP as EXCLUSION_GROUP

PIXELS = 1855
N_FITTED = 8
DARK_PIXEL, POOR_PIXEL = 3, 12
GAIN = 60.0  # ADC per photoelectron, of high gain
PAIR = 0.008  # cross-talk of every pair
PEAK = 0.38  # photon detection efficiency
NIGHTS = ("2024-07-08", "2024-07-09", "2024-07-10")
EXCLUDED = {17: ExclusionReason.STATISTICS, 900: ExclusionReason.PHOTON_TRANSFER}
BY_OPERATOR, SEEN_ONCE = 5, 40
OBS_IDS = list(range(102, 102 + len(LEVELS)))


@cache
def spe_tables():
    """Pixels and spectra of high gain with a run at high voltage, real fits; low gain is empty."""
    rng = np.random.default_rng(3)
    gain = GAIN * np.linspace(0.97, 1.03, N_FITTED)
    runs = {"nominal": charge_run(rng, gain), "high_voltage": charge_run(rng, 8 * gain, high=True)}
    found = single_photoelectrons(*runs.values())
    few = spe_table(found, found.status, np.full(N_FITTED, 35_000), np.full(1, 0.01))
    charges = {}
    for name, spectra in runs.items():
        columns = {n: getattr(spectra.charge, n) for n in spectra.charge.__annotations__}
        charges[name] = type(spectra.charge)(**{n: v[np.newaxis] for n, v in columns.items()})
    repeated = np.arange(PIXELS) % N_FITTED
    pixels, spectra = few[repeated], spectra_table(charges)[repeated]
    pixels["pixel_id"] = np.arange(PIXELS, dtype=np.int32)
    _set(pixels, DARK_PIXEL, SpeStatus.NO_SIGNAL)
    pixels["p_value"][POOR_PIXEL], pixels["chi2"][POOR_PIXEL] = 0.0, 1e4
    _set(pixels, POOR_PIXEL, SpeStatus.POOR_FIT)
    return pixels, spectra


def _set(pixels, pixel, status):
    """A status; without photoelectrons there are no numbers."""
    pixels["status"][pixel], pixels["outlier_mask"][pixel] = int(status), True
    if status == SpeStatus.NO_SIGNAL:
        for name in pixels.colnames:
            if pixels[name].dtype.kind == "f":
                pixels[name][pixel] = np.nan


@cache
def transfer_tables():
    """Pixels, points and ratios of a scan of some pixels; one pixel of the camera has no light."""
    rng = np.random.default_rng(5)
    camera = light_truth(N_FITTED, rng, jitter=0.0, saturation=(21_000.0, np.inf))
    camera = replace(camera, gain=camera.gain * GAIN / 85)
    measured = scan(camera, rng, n_events=1000)
    found = photon_transfer(measured)
    levels = light_levels(measured, found.is_used, LEVELS, np.full(len(LEVELS), 0.001))
    bent = linearity(measured, levels)
    noise = np.broadcast_to(np.array([[289.0], [25.0]]), (2, N_FITTED))
    tables = {
        PIXELS_GROUP: transfer_table(found, bent, F2),
        POINTS_GROUP: points_table(np.array(OBS_IDS), measured, found, levels, bent),
        RATIO_GROUP: gain_ratio_table(gain_ratio(measured, levels.is_used, noise)),
    }
    repeated = np.arange(PIXELS) % N_FITTED
    whole = {}
    for group, table in tables.items():
        columns = {n: np.asarray(table[n]) for n in table.colnames}
        whole[group] = Table(
            {n: v[..., repeated] if v.shape[-1:] == (N_FITTED,) and v.ndim > 1 else v
             for n, v in columns.items()}
        )  # fmt: skip
    whole[PIXELS_GROUP]["status"][0, :, DARK_PIXEL] = 1
    whole[PIXELS_GROUP]["gain"][0, :, DARK_PIXEL] = np.nan
    return whole


def pedestal_table(drift=0.01, rate=0.25):
    """Baseline 400 and 350 ADC, rms 17 and 5 ADC, under the sky 170 and 11 ADC.

    Noise differs by 2 % from pixel to pixel. One pixel is off in the closed camera, in both gains.
    """
    spread = 1 + 0.02 * np.sin(np.arange(PIXELS))
    off = np.arange(PIXELS) == DARK_PIXEL
    columns = {}
    for kind, rms in (("dark", (17.0, 5.0)), ("sky", (170.0, 11.0))):
        for name, values in {
            "mean": (400.0, 350.0),
            "window_mean": (4800.0, 4200.0),
            "sample_rms": (rms[0] / 3.5, rms[1] / 3.5),
            "window_rms": rms,
        }.items():
            value = np.outer(values, spread if name.endswith("rms") else np.ones(PIXELS))
            columns |= {
                f"{kind}_{name}": value,
                f"{kind}_{name}_stat_error": 0.02 * value,
                f"{kind}_{name}_sys_error": np.full(value.shape, drift),
            }
        columns[f"{kind}_n_events"] = np.full((2, PIXELS), 1000)
    value = np.outer((rate, rate), spread)
    columns |= {"nsb_rate": value, "nsb_rate_stat_error": 0.03 * value}
    columns |= {"nsb_rate_sys_error": 0.025 * value}
    for name, values in columns.items():
        if not name.endswith("n_events") and not name.startswith("sky"):
            columns[name] = np.where(off, np.nan, values)
    columns["status"] = np.tile(np.where(off, PedestalStatus.NO_NOISE, 0), (2, 1))
    return Table({name: values[np.newaxis] for name, values in columns.items()})


def pair_table(value=PAIR, unknown=()):
    """Every pair of neighbours; those of some sources are not known."""
    geometry = telescope_subarray(1).tel[1].camera.geometry
    pixel, source = geometry.neighbor_matrix_sparse.nonzero()
    known = ~np.isin(source, list(unknown))
    numbers = {
        name: np.where(known, v, np.nan).astype(np.float32)
        for name, v in (("crosstalk", value), ("stat_error", 0.001), ("sys_error", 0.0005))
    }
    return Table(
        {"pixel": pixel.astype(np.int32), "source": source.astype(np.int32)}
        | numbers
        | {"n_events": np.where(known, 100, 0).astype(np.int32)}
    )


def exclusion_tables(excluded=EXCLUDED, nights=NIGHTS):
    """Pixels excluded by evidence of all nights, one by an operator, one seen in the last night."""
    evidence = np.zeros((len(nights), PIXELS), np.uint16)
    for pixel, reason in excluded.items():
        evidence[:, pixel] = reason.value
    reasons, since = evidence[-1].copy(), np.full(PIXELS, "", "U10")
    since[list(excluded)] = nights[0]
    evidence[-1, SEEN_ONCE] = ExclusionReason.LINEARITY.value
    reasons[BY_OPERATOR], since[BY_OPERATOR] = ExclusionReason.OPERATOR.value, nights[-1]
    operator = np.zeros(PIXELS, np.int8)
    operator[BY_OPERATOR] = 1
    pixels = Table(
        {
            "pixel_id": np.arange(PIXELS, dtype=np.int32),
            "is_excluded": reasons != 0,
            "excluded_by_evidence": evidence[0] != 0,
            "reasons": reasons,
            "n_bad": (evidence != 0).sum(axis=0),
            "n_good": np.zeros(PIXELS, int),
            "since": since,
            "by_operator": operator,
        }
    )
    return {EXCLUSION_GROUP: pixels, HISTORY_GROUP: Table({"night": nights, "evidence": evidence})}


def write(night, kind, name, tables, tel_id=1, *, status="COMPLETE", **facts):
    """A product of a telescope."""
    element = f"LSTN-{tel_id:02d}"
    metadata = night.metadata(kind, tel_id=tel_id, array_element=element, **facts)
    path = night.folder / f"{element}/camera/{name}.h5"
    subarray = telescope_subarray(tel_id)
    return write_telescope_tables(path, subarray, tel_id, tables, replace(metadata, status=status))


def add_spe(night, tel_id=1, **facts):
    known = {"obs_id": 101, "runs": {"nominal": 101, "high_voltage": 110}, "shape": "free"}
    known |= {"model_difference": [0.01], "remarks": []}
    pixels, spectra = spe_tables()
    tables = {GROUP: pixels, SPECTRA_GROUP: spectra}
    write(night, SPE, "single_photoelectron", tables, tel_id, **(known | facts))


def add_transfer(night, tel_id=1, **facts):
    known = {"obs_ids": OBS_IDS, "light_from": "monitor", "remarks": []}
    write(night, TRANSFER, "photon_transfer", transfer_tables(), tel_id, **(known | facts))


def add_pedestal(night, tel_id=1, table=None, **facts):
    known = {"obs_id": 101, "sky_obs_ids": [102], "no_nsb_rate": "", "remarks": []}
    tables = {PEDESTAL_GROUP: pedestal_table() if table is None else table}
    write(night, PEDESTAL, "pedestal", tables, tel_id, **(known | facts))


def add_crosstalk(night, tel_id=1, table=None, **facts):
    known = {"obs_id": 111, "has_direction": True, "remarks": []}
    tables = {PAIRS_GROUP: pair_table() if table is None else table}
    write(night, CROSSTALK, "crosstalk", tables, tel_id, **(known | facts))


def drs4_tables(*, fitted=True, pulses=True):
    """Noise 5 and 1.5 ADC, spread 10 ADC; one pixel of high gain is off."""
    rng = np.random.default_rng(9)
    shape = 1, 2, PIXELS
    noise = np.array([[5.0], [1.5]]) * (1 + 0.05 * rng.standard_normal(shape))
    columns = {
        "baseline": 400 + 2 * rng.standard_normal(shape),
        "spread": 10 + 0.1 * rng.standard_normal(shape),
        "stat_error": noise / 13,
        "sys_error": np.full(shape, 0.01),
        "noise": noise,
        "known_fraction": np.ones(shape),
        "noisy_fraction": np.zeros(shape),
    }
    pixels = Table({name: values.astype(np.float32) for name, values in columns.items()})
    for name in ("baseline", "spread", "stat_error", "sys_error", "noise"):
        pixels[name].unit = u.adu
    pixels["status"] = np.zeros(shape, np.uint8)
    pixels["status"][0, 0, DARK_PIXEL] = Drs4Reason.NO_NOISE.value
    law = TimeLapse(covariance=np.diag([1e-4, 1e-8, 1e-4]), chi2=205.0, n_degrees=197)
    numbers = {n: [getattr(law, n)] for n in ("amplitude", "exponent", "offset", "max_time")}
    numbers |= {"covariance": law.covariance[np.newaxis], "sys_error": [0.002]}
    tables = {DRS4_GROUP: pixels, LAW_GROUP: Table(numbers | {"chi2": [205.0], "n_degrees": [197]})}
    if fitted:
        time = np.tile(np.geomspace(0.02, 98, 100), 2)
        error = np.repeat([0.01, 0.004], 100) * (time / 98) ** -0.3
        excess = law(time) + error * rng.standard_normal(time.size)
        points = {"channel": np.repeat([0, 1], 100), "time": time * u.ms}
        points |= {"excess": excess * u.adu, "error": error * u.adu}
        tables[DRS4_POINTS] = Table(points | {"n_readings": np.full(time.size, 1000)})
    if pulses:
        falling = 0.3 / np.arange(1, 17)[:, np.newaxis, np.newaxis]
        series = falling * rng.standard_normal((2, 16, 2, PIXELS))
        numbers = (np.full((2, PIXELS), value) for value in (0.005, 95.0, 20_000))
        tables[SAMPLING_GROUP] = sampling_table(SamplingTimes(*series, *numbers))
    return tables


def add_drs4(night, tel_id=1, tables=None, **facts):
    known = {"obs_id": 112, "runs": {"dark": 112, "pulses": 113}, "remarks": []}
    write(night, DRS4, "drs4", tables or drs4_tables(), tel_id, **(known | facts))


def add_exclusion(night, tel_id=1, tables=None, **facts):
    tables = tables or exclusion_tables()
    write(night, EXCLUSION, "excluded_pixels", tables, tel_id, **({"remarks": []} | facts))


def add_efficiency(night, tel_id=1):
    """Falls with the angle; most at 400 nm."""
    element = f"LSTN-{tel_id:02d}"
    wavelength, angle = (g.ravel() for g in np.meshgrid([300.0, 400, 500], [0.0, 30, 60]))
    pde = PEAK * np.where(wavelength == 400, 1.0, 0.5) * np.cos(np.radians(angle))
    table = QTable({"wavelength": wavelength * u.nm, "incidence_angle": angle * u.deg})
    table["pde"], table["pde_error"] = pde, 0.04 * pde
    facts = {"tel_id": tel_id, "array_element": element, "origin": "Laboratory, batch 12"}
    facts |= {"measured": "2015-03-01", "reference": "", "temperature_in_celsius": 20.0}
    path = night.folder / f"{element}/camera/pde.ecsv"
    write_table(path, table, night.metadata(PDE, **facts))


def add_dedicated(night, tel_id=1):
    """All six."""
    for add in (add_spe, add_transfer, add_pedestal, add_crosstalk, add_exclusion, add_efficiency):
        add(night, tel_id)
    return night
