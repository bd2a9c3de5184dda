"""Offsets of a telescope whose terms are known."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from calibpipe.core.ctapipe_groups import DL1_TEL_STAR_TRACKING_GROUP
from calibpipe.core.products import COMPLETE, ProductMetadata
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import write_telescope_tables
from calibpipe.pointing.measurements import PointingMeasurements
from calibpipe.pointing.pointing_terms import design_matrix

TERMS = ("IA", "IE", "CA", "NPAE", "AN", "AW", "TF")
TRUE = np.array([30.0, -20.0, 15.0, -25.0, 12.0, -8.0, 40.0])
DAY = 86400.0


def made(
    rng,
    n=80,
    *,
    noise=5.0,
    correlation=0.0,
    scatter=(0.0, 0.0),
    altitude=(15.0, 85.0),
    azimuth=(0.0, 360.0),
    terms=TERMS,
    value=TRUE,
    nights=1,
    night_offset=None,
    sys_error=0.0,
):
    """Measurements at random directions, night after night; noise in arcsec for each axis."""
    az, alt = rng.uniform(*azimuth, n), rng.uniform(*altitude, n)
    night = np.sort(np.arange(n) % nights)
    sigma = np.broadcast_to(noise, (n, 2))
    covariance = sigma[:, :, None] * sigma[:, None, :] * (np.eye(2) + correlation * (1 - np.eye(2)))
    whole = np.linalg.cholesky(covariance + np.diag(np.square(scatter)))
    offset = design_matrix(terms, az, alt) @ value
    offset += np.einsum("nij,nj->ni", whole, rng.normal(size=(n, 2)))
    if night_offset is not None:
        index = design_matrix(("IA", "IE"), az, alt)
        offset += np.einsum("nik,nk->ni", index, np.asarray(night_offset)[night])
    return PointingMeasurements(
        time=1.72e9 + DAY * night + 300.0 * np.arange(n),
        azimuth=az,
        altitude=alt,
        offset=offset,
        covariance=covariance,
        sys_error=np.full((n, 2), sys_error),
        night=night,
        nights=tuple(f"2024-07-{10 + k}" for k in range(nights)),
    )


def tracking_table(m):
    """Star tracking with these offsets, as its Tool writes it."""
    sigma = np.sqrt(np.diagonal(m.covariance, axis1=1, axis2=2))
    table = QTable({"time": Time(m.time, format="unix_tai", scale="tai")})
    table["duration"] = np.full(len(m), 60.0) * u.s
    table["azimuth"], table["altitude"] = m.azimuth * u.deg, m.altitude * u.deg
    for k, name in enumerate(("dlon", "dlat")):
        table[name] = (m.offset[:, k] * u.arcsec).to(u.deg)
        table[f"{name}_stat_error"] = (sigma[:, k] * u.arcsec).to(u.deg)
        table[f"{name}_sys_error"] = (m.sys_error[:, k] * u.arcsec).to(u.deg)
    table["offset_correlation"] = m.covariance[:, 0, 1] / sigma.prod(axis=1)
    table["is_valid"] = np.ones(len(m), bool)
    table["status"] = np.full(len(m), "ok")
    table["n_stars"] = np.full(len(m), 12)
    return table


def write_tracking(folder, m, tel_id=1, name="LSTN-01", *, status=COMPLETE, **header):
    """A file of star tracking for each night."""
    subarray = telescope_subarray(tel_id)
    paths = []
    for k, night in enumerate(m.nights):
        evening = Time(f"{night}T22:00:00")
        metadata = ProductMetadata(
            "pointing/star_tracking",
            "test",
            validity=(evening, evening + 6 * u.h),
            night=night,
            category="C",
            status=status,
            details={"tel_id": tel_id, "array_element": name},
            **({"site": "CTAO-North"} | header),
        )
        path = folder / f"star_tracking.{name}.{night}.h5"
        table = tracking_table(m.chosen(m.night == k))
        tables = {DL1_TEL_STAR_TRACKING_GROUP: table}
        paths.append(write_telescope_tables(path, subarray, tel_id, tables, metadata))
    return paths
