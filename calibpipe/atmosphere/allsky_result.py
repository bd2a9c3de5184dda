"""How all-sky frames are judged, and what comes out of one."""

from dataclasses import dataclass, field

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from .allsky_astrometry import Astrometry
from .allsky_cloud_fraction import CloudFraction
from .allsky_expectation import ClearSky

__all__ = ["AllskySettings", "FrameResult"]


@dataclass(frozen=True)
class AllskySettings:
    """How frames are judged.

    Attributes
    ----------
    sky : ClearSky
    threshold : float
        A direction is covered if less than this part of the clear light arrives.
    significance : float
        Smallest expected one of a star.
    faintest : float, mag
        Of stars used; the catalogue is complete to V = 7.3.
    scatter : float, mag
        Of single stars: colour, variability, flat field.
    zero_point_error : float, mag
        Of all stars.
    extinction_error : float, mag per airmass
    efficiency_error : float
        Of the probability of detection in a clear sky.
    min_stars : int
        Expected in a region.
    min_expected : int
        In the frame.
    moon_radius : float, deg
        Stars closer to the Moon are not used.
    max_moon_fraction : float
        Lit part of the Moon above the horizon up to which a frame is used.
    max_sun_altitude : float, deg
    search_radius : int, pixel
        Of the astrometry.
    """

    sky: ClearSky = field(default_factory=ClearSky)
    threshold: float = 0.5
    significance: float = 6.0
    faintest: float = 6.5
    scatter: float = 0.1
    zero_point_error: float = 0.1
    extinction_error: float = 0.03
    efficiency_error: float = 0.01
    min_stars: int = 5
    min_expected: int = 50
    moon_radius: float = 30.0
    max_moon_fraction: float = 0.5
    max_sun_altitude: float = -18.0
    search_radius: int = 8


@dataclass(frozen=True)
class FrameResult:
    """What a frame says.

    Attributes
    ----------
    name : str
    time : Time
        Middle of the exposure.
    status : str
        Empty, or why there are no numbers.
    fraction : CloudFraction or None
    sys_error : float
    region_sys_error, region_brightness : ndarray, shape (n_regions,)
        Brightness in mag/arcsec2.
    transparency : float
        Median part of the clear light of the stars that are seen; a hint, no measurement.
    astrometry : Astrometry or None
    is_pointing_own : bool
        The projection is refined on this frame or on another one of the night.
    """

    name: str
    time: Time
    status: str
    fraction: CloudFraction | None = None
    sys_error: float = np.nan
    region_sys_error: NDArray | None = None
    region_brightness: NDArray | None = None
    transparency: float = np.nan
    astrometry: Astrometry | None = None
    is_pointing_own: bool = False
