"""Products of stars made by hand: offsets, residuals, point spread functions, terms are known."""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack
from astropy.time import Time

from calibpipe.core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP, DL1_TEL_STAR_TRACKING_GROUP
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.pointing.pointing_terms import design_matrix
from calibpipe.tools.calculate_psf_stars import PROFILE_GROUP
from calibpipe.tools.calculate_psf_stars import STARS_GROUP as WIDTHS_GROUP
from calibpipe.tools.fit_pointing_model import NIGHTS_GROUP, RESIDUALS_GROUP, TERMS_GROUP
from calibpipe.tools.star_tracking import SPOTS_GROUP, STARS_GROUP

BEGIN = Time("2024-07-10T22:00:00", scale="utc")
N = 10  # minutes of a block
AZIMUTH, ALTITUDE = 180.0, 70.0
OFFSET = np.array([30.0, -40.0])  # arcsec: 50 on the sky
STAT, SYS = 5.0, 3.0  # of each axis: 8.2 on the sky
PLACES = np.array([[0.5, 0.3], [-0.4, 0.2], [0.1, -0.5], [-0.3, -0.3], [0.6, -0.2]])  # m, x and y
RESIDUAL = np.array([[2.0, 1.0], [-2.0, 0.5], [1.0, -3.0], [-1.0, 2.0], [0.0, -0.5]])  # arcsec
ERROR = 2.0
SIGMA, COMA = 108.0, 0.0446  # arcsec
MUON = 170.0
TERMS = ("IA", "IE", "CA", "NPAE", "AN", "AW", "TF")
VALUE = np.array([20.0, -30.0, -33.0, 0.0, 0.0, 0.0, 10.0])
CLOUD = "1 of 9 stars seen, needs 2: cloud, few stars, or too many masked pixels"


def tracking_table(hours, invalid=(), status=CLOUD, offset=OFFSET, stat=STAT, n=N, n_stars=5):
    """One row a minute; the first and the last differ by 2 arcsec."""
    table = QTable({"time": BEGIN.tai + (60 * hours + np.arange(n) + 0.5) * u.min})
    table["duration"] = np.full(n, 60.0) * u.s
    table["azimuth"], table["altitude"] = np.full(n, AZIMUTH) * u.deg, np.full(n, ALTITUDE) * u.deg
    good = ~np.isin(np.arange(n), list(invalid))
    change = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
    for axis, value in zip(("dlon", "dlat"), offset, strict=True):
        for name, values in (
            (axis, value + change),
            (f"{axis}_stat_error", np.full(n, stat)),
            (f"{axis}_sys_error", np.full(n, SYS)),
        ):
            table[name] = (np.where(good, values, np.nan) * u.arcsec).to(u.deg)
    table["offset_correlation"] = np.where(good, 0.1, np.nan)
    table["is_valid"] = good
    table["status"] = np.where(good, "valid", status)
    table["n_stars"] = np.where(good, n_stars, 0)
    return table


def star_table(residual=RESIDUAL, wrong=""):
    """Five stars that count, one too faint; perhaps a wrong one."""
    n = len(residual)
    names = [f"HIP {k}" for k in range(1, n + 1)]
    reasons = ["used"] * n + ["too faint"] + [wrong] * bool(wrong)
    names += ["HIP 98"] + ["HIP 99"] * bool(wrong)
    used = np.array([reason == "used" for reason in reasons])

    def column(values, other=np.nan):
        return np.concatenate([values, np.full(len(reasons) - n, other)])

    table = QTable({"field": np.zeros(len(reasons), int), "star": names})
    table["magnitude"], table["relative_flux"] = column(np.full(n, 5.5), 7.5), column(np.ones(n))
    table["field_angle"] = column(np.hypot(*PLACES[:n].T) / 29.3 * 57.3) * u.deg
    for k, axis in enumerate("xy"):
        table[f"residual_{axis}"] = (column(residual[:, k]) * u.arcsec).to(u.deg)
        table[f"residual_{axis}_error"] = (column(np.full(n, ERROR)) * u.arcsec).to(u.deg)
    table["residual_correlation"] = column(np.zeros(n))
    table["p_value"] = column(np.exp(-np.sum(residual**2, axis=1) / (2 * ERROR**2)))
    table["n_blocks"] = np.where(used, N, 0)
    table["is_used"], table["reason"] = used, reasons
    return table


def spot_table(hours, n_stars=5, n=N):
    """Stars that move by 0.1 m along x (altitude) within the block; rows against the time."""
    rows = []
    for k in range(n_stars):
        x = PLACES[k, 0] + np.linspace(-0.05, 0.05, n)
        table = QTable({"field": np.zeros(n, int)})
        table["time"] = BEGIN.tai + (60 * hours + np.arange(n) + 0.5) * u.min
        table["star"] = np.full(n, f"HIP {k + 1}")
        table["camera_x"], table["camera_y"] = x * u.m, np.full(n, PLACES[k, 1]) * u.m
        rows.append(table[::-1])
    return vstack(rows, metadata_conflicts="silent")


def add_tracking(
    night, tel_id=1, *, block=1, hours=0.0, residual=RESIDUAL, wrong="", facts=(), **rows
):
    """Star tracking of one block; rows without a spot where no row is valid."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    table = tracking_table(hours, **rows)
    valid = np.asarray(table["is_valid"])
    stars, spots = star_table(residual, wrong), spot_table(hours, len(residual))
    details = {"tel_id": tel_id, "array_element": name, "obs_id": block, "n_stars": len(residual)}
    details |= {"n_blocks": len(table), "n_valid_blocks": int(valid.sum()), "remarks": []}
    for what, value, stat, sys in (
        ("rotation{}_in_arcmin", 2.0, 1.0, 1.5),
        ("plate_scale{}", 1.0002, 4e-4, 5e-4),
    ):
        for suffix, number in (("", value), ("_stat_error", stat), ("_sys_error", sys)):
            details[what.format(suffix)] = number
    details |= {"chi2": 90.0, "n_degrees": 93, **dict(facts)}
    tables = {
        DL1_TEL_STAR_TRACKING_GROUP: table,
        STARS_GROUP: stars,
        SPOTS_GROUP: spots if valid.any() else spots[:0],
    }
    path = night.folder / f"{name}/pointing/star_tracking.OBSID{block}.h5"
    metadata = night.metadata("pointing/star_tracking", **details)
    write_telescope_tables(path, subarray, tel_id, tables, metadata)


def add_star_psf(night, tel_id=1, *, block=1, compared=None, sigma=SIGMA):
    """Point spread function of stars; `compared`: difference to the muons in errors, or None."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    psf = QTable({"method": ["Stars"]})
    for column, value in (
        ("width", sigma),
        ("stat_error", 2.0),
        ("sys_error", 3.0),
        ("theta80", 1.794 * sigma),
        ("theta80_stat_error", 4.0),
        ("theta80_sys_error", 5.0),
    ):
        psf[column] = ([value] * u.arcsec).to(u.deg)
    psf["coma"], psf["is_valid"] = [COMA], [True]
    angle = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    profile = QTable({"field_angle": angle * u.deg})
    for column, value in (("", 1.794 * sigma + 80 * angle), ("_stat_error", 4.0)):
        profile[f"theta80{column}"] = (value * np.ones(5) * u.arcsec).to(u.deg)
    profile["theta80_sys_error"] = (5.0 * np.ones(5) * u.arcsec).to(u.deg)
    stars = QTable({"star": ["HIP 1", "HIP 2"], "field_angle": [0.0, 1.0] * u.deg})
    stars["width"] = ([sigma, sigma] * u.arcsec).to(u.deg)
    stars["stat_error"] = ([3.0, 6.0] * u.arcsec).to(u.deg)
    comparison = None
    if compared is not None:
        comparison = {"star_in_deg": 215 / 3600, "star_error_in_deg": 4 / 3600}
        comparison |= {"muon_in_deg": MUON / 3600, "muon_error_in_deg": 6 / 3600}
        comparison |= {"difference_in_deg": 45 / 3600, "z_score": compared}
    details = {"tel_id": tel_id, "array_element": name, "obs_id": block}
    details |= {"muon_comparison": comparison, "remarks": []}
    metadata = night.metadata("pointing/star_psf", **details)
    metadata = replace(metadata, configuration={"ring_angle_in_deg": 1.2})
    tables = {DL1_TEL_OPTICAL_PSF_GROUP: psf, PROFILE_GROUP: profile, WIDTHS_GROUP: stars}
    path = night.folder / f"{name}/pointing/star_psf.OBSID{block}.h5"
    write_telescope_tables(path, subarray, tel_id, tables, metadata)


def terms(fixed=()):
    """Terms of a model; fixed ones have no significance."""
    is_fixed = np.isin(TERMS, fixed)
    stat = np.where(is_fixed, 0.0, 2.0)
    table = QTable({"term": TERMS, "value": VALUE * u.arcsec, "stat_error": stat * u.arcsec})
    table["sys_error"] = np.where(is_fixed, 60.0, 1e-14) * u.arcsec
    table["significance"] = VALUE / np.where(is_fixed, np.nan, stat)
    table["bic_gain"] = np.where(is_fixed, np.nan, 12.0)
    table["is_fixed"] = is_fixed
    table["stat_covariance"] = np.diag(stat**2) * u.arcsec**2
    table["sys_covariance"] = np.diag(table["sys_error"].value ** 2) * u.arcsec**2
    return table


def residual_table(azimuth, altitude, residual, outliers=()):
    """What a model leaves at some directions."""
    n = len(azimuth)
    table = QTable({"azimuth": azimuth * u.deg, "altitude": altitude * u.deg})
    for k, axis in enumerate(("dlon", "dlat")):
        table[f"{axis}_residual"] = residual[:, k] * u.arcsec
    table["is_outlier"] = np.isin(np.arange(n), list(outliers))
    table["is_used"] = ~table["is_outlier"]
    return table


def add_model(night, tel_id=1, *, n=60, rms=6.9, remarks=(), sectors=12, fixed=()):
    """Pointing model from 15 to 85 deg in the first sectors of azimuth."""
    subarray, name = telescope_subarray(tel_id), f"LSTN-{tel_id:02d}"
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 30 * sectors, n), rng.uniform(15, 85, n)
    nights = QTable({"night": ["2024-07-09", "2024-07-10"], "n_measurements": [n // 2, n // 2]})
    details = {"tel_id": tel_id, "array_element": name, "nights": ["2024-07-09", "2024-07-10"]}
    details |= {"n_measurements": n, "n_used": n - 1, "sky_rms_in_arcsec": rms}
    details |= {"sky_rms_before_in_arcsec": 60.0, "remarks": list(remarks)}
    details |= {"scatter_in_arcsec": [1.0, 1.0], "night_scatter_in_arcsec": [0.5, 0.5]}
    details |= {"altitude_range_in_deg": [15.0, 85.0]}
    details |= {"azimuth_sectors": (np.arange(12) < sectors).tolist()}
    tables = {
        TERMS_GROUP: terms(fixed),
        RESIDUALS_GROUP: residual_table(*places, rng.normal(0, rms, (n, 2)), [0]),
        NIGHTS_GROUP: nights,
    }
    path = night.folder / f"{name}/pointing/pointing_model.h5"
    metadata = night.metadata("pointing/pointing_model", **details)
    write_telescope_tables(path, subarray, tel_id, tables, metadata)


def predicted():
    """What the model of `terms` says at the place of the blocks, arcsec."""
    return design_matrix(TERMS, [AZIMUTH], [ALTITUDE])[0] @ VALUE


def add_pointing(night, telescopes=(1,)):
    """Two blocks of some telescopes, three hours apart, with point spread functions."""
    for tel_id in telescopes:
        for block, hours in ((1, 0.0), (2, 3.0)):
            add_tracking(night, tel_id, block=block, hours=hours)
            add_star_psf(night, tel_id, block=block)
    return night
