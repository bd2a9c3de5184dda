"""Offsets of a telescope whose terms are known."""

import numpy as np

from calibpipe.pointing.measurements import PointingMeasurements
from calibpipe.pointing.pointing_terms import design_matrix

TERMS = ("IA", "IE", "CA", "NPAE", "AN", "AW", "TF")
TRUE = np.array([30.0, -20.0, 15.0, -25.0, 12.0, -8.0, 40.0])
DAY = 86400.0


def made(  # noqa: PLR0913
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
