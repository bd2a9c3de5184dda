"""Products of aerosols and clouds made by hand: clear air with a cloud in the middle of the night.

Twelve windows and slices, 24 profiles, ten frames. Of the windows and slices 4 to 7, of the
profiles 8 to 15 and of the frames 4 and 5 are under the cloud.
"""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from astropy.time import Time

from calibpipe.atmosphere.good_time_intervals import good_time_intervals
from calibpipe.atmosphere.slice_quality import QUALITIES, REASONS
from calibpipe.core.array_file import write_array_tables
from calibpipe.core.observation_conditions_file import KIND, NODES
from calibpipe.core.products import write_table

N_WINDOWS, N_PROFILES, N_FRAMES = 12, 24, 10
CLOUDY_WINDOWS, CLOUDY_PROFILES, CLOUDY_FRAMES = slice(4, 8), slice(8, 16), slice(4, 6)
VAOD, CLOUD, VAOD_STAT, VAOD_SYS = 0.02, 0.2, 0.001, 0.008
LINES, EXPONENT = (355, 532), 1.0
GROUND = 0.05  # LIDAR, at 532 nm
DEPTH_STAT, DEPTH_SYS = 0.002, 0.01
BASE, TOP = 9000.0, 10000.0  # m
CTC, CTC_CLOUDY, CTC_STAT, CTC_SYS = 0.96, 0.7, 0.001, 0.011
FACTORS = np.array([1.0, 1.01, 0.99, 1.0])  # of the telescopes
FRACTION, FRACTION_CLOUDY = 0.05, 0.8
REGIONS = {  # the zenith, and four quarters about it
    "zenith_min_in_deg": [0.0, 30.0, 30.0, 30.0, 30.0],
    "zenith_max_in_deg": [30.0, 70.0, 70.0, 70.0, 70.0],
    "azimuth_min_in_deg": [0.0, 0.0, 90.0, 180.0, 270.0],
    "azimuth_max_in_deg": [360.0, 90.0, 180.0, 270.0, 360.0],
}


def _times(night, number, place=0.0):
    """Begins (place 0), middles (0.5) or ends (1) of equal parts of the night."""
    dusk, length = night.darkness.dusk.utc, night.darkness.duration
    return Time([dusk + (k + place) / number * length for k in range(number)]).utc.isot


def add_clear_night(night, *, cloudy=CLOUDY_WINDOWS, n=N_WINDOWS, **more):
    """VAOD 0.02 at 440 nm, 0.2 more under the cloud."""
    is_clear = np.ones(n, bool)
    if cloudy is not None:
        is_clear[cloudy] = False
    vaod = np.where(is_clear, VAOD, VAOD + CLOUD)
    whole = vaod.mean() if n else VAOD
    begin, end = _times(night, max(n, 1)), _times(night, max(n, 1), 1.0)
    table = QTable(
        {
            "scope": ["night", *["window"] * n],
            "begin_utc": [begin[0], *begin[:n]],
            "end_utc": [end[-1], *end[:n]],
            "is_clear": [is_clear.all(), *is_clear],
            "reasons": ["", *np.where(is_clear, "", "aerosol")],
            "vaod": [whole, *vaod],
            "stat_error": [VAOD_STAT] * (n + 1),
            "sys_error": [VAOD_SYS] * (n + 1),
        }
    )
    reasons = {} if is_clear.all() else {"aerosol": "mean VAOD above its limit"}
    details = {
        "is_clear": bool(is_clear.all()),
        "reasons": reasons,
        "vaod": float(whole),
        "stat_error": VAOD_STAT,
        "sys_error": VAOD_SYS,
        "n_windows": n,
        "n_clear_windows": int(is_clear.sum()),
        "limits": {"max_vaod": 0.04},
        "reference_wavelength_in_nm": 440.0,
    }
    metadata = night.metadata("atmosphere/clear_night", **details | more)
    write_table(night["clear_night.ecsv"], table, metadata)


def add_lidar(night, *, n=N_PROFILES, cloudy=CLOUDY_PROFILES, unusable=(), opaque=False, **more):
    """Aerosol up to 2 km above the site, a cloud of depth 0.2 from 9 to 10 km.

    Parameters
    ----------
    cloudy : slice or None
        Profiles under the cloud.
    unusable : sequence of int
        Profiles without any number.
    opaque : bool
        No light from above the cloud: top and depth are not known.
    """
    site = night.site.elevation.to_value("m")
    altitude = np.arange(site, 20000.0, 500.0)
    rise = np.clip((altitude - site) / 2000, 0, 1)
    inside = np.clip((altitude - BASE) / (TOP - BASE), 0, 1)
    under = np.zeros(n, bool)
    if cloudy is not None:
        under[cloudy] = True
    bad = np.isin(np.arange(n), list(unusable))
    columns = {"time": np.array(_times(night, max(n, 1), 0.5)[:n], str)}
    layers = {
        name: []
        for name in (
            *("row", "wavelength_in_nm", "base_in_m", "top_in_m"),
            *("depth", "stat_error", "status"),
        )
    }
    for line in LINES:
        ground = GROUND * (line / LINES[-1]) ** -EXPONENT
        depth = np.add.outer(np.zeros(n), ground * rise) + CLOUD * np.multiply.outer(under, inside)
        backscatter = np.where(rise < 1, ground / 2000 / 50, 0.0)
        backscatter = backscatter + np.multiply.outer(
            under, np.where((altitude >= BASE) & (altitude < TOP), CLOUD / 1000 / 25, 0.0)
        )
        hidden = bad[:, None] | (opaque & under[:, None] & (altitude >= TOP))
        for name, values in (
            ("optical_depth", depth),
            ("optical_depth_stat_error", np.full(depth.shape, DEPTH_STAT)),
            ("optical_depth_sys_error", np.full(depth.shape, DEPTH_SYS)),
            ("backscatter", backscatter),
        ):
            unit = 1 / u.m / u.sr if name == "backscatter" else u.one
            columns[f"{name}_{line}nm"] = np.where(hidden, np.nan, values) * unit
        told = np.where(bad, "too little light", "measured")
        columns[f"status_{line}nm"] = told.astype(str)
        for row in np.flatnonzero(under & ~bad).tolist():
            end = None if opaque else TOP
            entry = (row, line, BASE, end, *((None, None) if opaque else (CLOUD, 0.001)))
            entry += ("no light from above the layer" if opaque else "measured",)
            for name, value in zip(layers, entry, strict=True):
                layers[name].append(value)
    details = {
        "altitude_in_m": altitude.tolist(),
        "wavelengths_in_nm": list(LINES),
        "layers": layers,
    }
    metadata = night.metadata("atmosphere/lidar", **details | more)
    write_table(night["lidar.ecsv"], QTable(columns), metadata)


def add_allsky(night, *, n=N_FRAMES, cloudy=CLOUDY_FRAMES, unusable=(), **more):
    """Cloud fraction 0.05, in cloudy frames 0.8; the eastern quarters have twice 0.05."""
    under = np.zeros(n, bool)
    if cloudy is not None:
        under[cloudy] = True
    bad = np.isin(np.arange(n), list(unusable))
    whole = np.where(bad, np.nan, np.where(under, FRACTION_CLOUDY, FRACTION))
    regions = whole[:, None] * np.ones(5)
    regions[~under] *= [1, 2, 2, 1, 1]
    columns = {
        "time": np.array(_times(night, max(n, 1), 0.5)[:n], str),
        "status": np.where(bad, "the Moon is up", "").astype(str),
        "cloud_fraction": whole,
        "cloud_fraction_stat_error": np.where(bad, np.nan, 0.02),
        "cloud_fraction_sys_error": np.where(bad, np.nan, 0.03),
        "region_cloud_fraction": regions,
    }
    metadata = night.metadata("atmosphere/allsky", **{"regions": REGIONS} | more)
    write_table(night["allsky.ecsv"], QTable(columns), metadata)


def add_transparency(
    night, *, n=N_WINDOWS, cloudy=CLOUDY_WINDOWS, odd=None, by=0.8, unknown=(), name="", **more
):
    """CTC 0.96, under the cloud 0.7; telescopes within 1 % of it but an odd one.

    Parameters
    ----------
    odd : int, optional
        Column of a telescope that tells `by` times as much.
    unknown : sequence of int
        Slices without a reference.
    name : str, optional
        Night beside this one that it is written for.
    """
    under = np.zeros(n, bool)
    if cloudy is not None:
        under[cloudy] = True
    bad = np.isin(np.arange(n), list(unknown))
    value = np.where(bad, np.nan, np.where(under, CTC_CLOUDY, CTC))
    factors = np.where(np.arange(4) == (-1 if odd is None else odd), by, FACTORS)
    telescopes = np.multiply.outer(value, factors)
    table = QTable(
        {
            "begin_utc": np.array(_times(night, max(n, 1))[:n], str),
            "end_utc": np.array(_times(night, max(n, 1), 1.0)[:n], str),
            "transparency": value,
            "stat_error": np.where(bad, np.nan, CTC_STAT),
            "sys_error": np.where(bad, np.nan, CTC_SYS),
            "is_good": (value > 0.8) & (value < 1.2),
            "telescope_transparency": telescopes,
            "telescope_stat_error": np.where(np.isnan(telescopes), np.nan, 2 * CTC_STAT),
            "telescope_sys_error": np.where(np.isnan(telescopes), np.nan, CTC_SYS),
        }
    )
    known = value[~bad]
    details = {
        "tel_ids": [1, 2, 3, 4],
        "transparency": float(known.mean()) if known.size else None,
        "stat_error": CTC_STAT,
        "sys_error": CTC_SYS,
        "n_slices": n,
        "n_good_slices": int(np.sum(table["is_good"])),
        "n_slices_without_reference": int(bad.sum()),
    }
    metadata = night.metadata("atmosphere/transparency_coefficient", **details | more)
    limits = {"min_transparency": 0.8, "max_transparency": 1.2}
    metadata = replace(metadata, configuration=limits)
    path = night["transparency_coefficient.ecsv"]
    if name:
        path = night.folder.parent / name / "atmosphere/transparency_coefficient.ecsv"
        metadata = replace(metadata, night=name)
    write_table(path, table, metadata)


def add_aerosol(night):
    """All products of a night with a cloud in its middle."""
    add_clear_night(night)
    add_lidar(night)
    add_allsky(night)
    add_transparency(night)
    add_conditions(night)
    return night


def add_conditions(
    night, qualities=None, *, n_altitudes=20, reasons=None, has_profiles=True, **more
):
    """Twelve slices; the four under the cloud are correctable, the last of them bad.

    Transmission at 400 nm from the reference height: 0.96 in good slices, 0.8 in others. Light of
    showers of 1 TeV at 20 degrees: 0.95 and 0.75.
    """
    if qualities is None:
        qualities = ["good"] * 4 + ["correctable"] * 3 + ["bad"] + ["good"] * 4
    n, n_altitudes = len(qualities), 20
    edges = night.darkness.dusk.unix_tai + np.linspace(
        0, night.darkness.duration.to_value("s"), n + 1
    )
    intervals = good_time_intervals(edges, qualities)
    good = np.array(qualities) == "good"
    altitude = night.site.elevation.to_value("m") + 500.0 * np.arange(n_altitudes)
    through = np.where(good, 0.96, 0.8) if has_profiles else np.full(n, np.nan)
    told = np.where(good, "", "layer") if reasons is None else np.array(reasons)
    slices = Table(_span(edges[:-1], edges[1:]))
    slices["quality"], slices["reasons"] = np.array(qualities), told.astype("U40")
    for name, error in (("", None), ("_stat_error", 0.01), ("_sys_error", 0.02)):
        values = through if error is None else np.where(np.isnan(through), np.nan, error)
        slices[f"reference_transmission{name}"] = values
    table = Table(_span([i.begin for i in intervals], [i.end for i in intervals]))
    table["quality"] = np.array([i.quality for i in intervals], "U11")
    table["livetime"] = [i.livetime for i in intervals] * u.s
    table["first_slice"] = [i.first for i in intervals]
    table["n_slices"] = [i.stop - i.first for i in intervals]
    table["status"] = np.array(["" if has_profiles else "no profile"] * len(intervals))
    light = np.full((len(intervals), 2, 2), np.nan)
    if has_profiles:
        light[:, 1, 1] = np.where(table["quality"] == "good", 0.95, 0.75)
    for name, error in (("", None), ("_stat_error", 0.001), ("_sys_error", 0.01)):
        values = light if error is None else np.where(np.isnan(light), np.nan, error)
        table[f"mean_transmission{name}"] = values
    number = np.repeat(np.arange(len(intervals) if has_profiles else 0), n_altitudes)
    median = Table({"interval": number, "altitude": np.resize(altitude, len(number)) * u.m})
    fall = 1 - 0.04 * np.clip(np.resize(np.linspace(0, 2, n_altitudes), len(number)), 0, 1)
    median["transmission"] = np.multiply.outer(fall, [0.99, 1.0, 1.01])
    for name, error in (("stat", 0.003), ("sys", 0.004)):
        median[f"transmission_{name}_error"] = np.full((len(number), 3), error)
    nodes = {"slices": slices, "good_time_intervals": table, "median_profile": median}
    nodes["corrections"] = Table({"is_valid": np.ones(n, bool)})
    livetimes = {
        name: sum(i.livetime for i in intervals if i.quality == name) for name in QUALITIES
    }
    details = {
        "reasons": {key: REASONS[key] for text in told for key in text.split()},
        "livetime_in_s": livetimes,
        "altitude_in_m": altitude.tolist(),
        "wavelength_in_nm": [300.0, 400.0, 600.0],
        "reference": {"altitude_in_m": 12158.0, "wavelength_in_nm": 400.0},
        "energy_in_tev": [0.02, 1.0],
        "zenith_in_deg": [0.0, 20.0],
        "absent": {},
    }
    metadata = night.metadata(KIND, **details | more)
    path = night["observation_conditions.h5"]
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = {NODES[name]: table for name, table in nodes.items()}
    write_array_tables(path, None, tables, metadata, level="Other")


def _span(begin, end):
    return {
        name: Time(values, format="unix_tai", scale="tai")
        for name, values in (("begin", begin), ("end", end))
    }
