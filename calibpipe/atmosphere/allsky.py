"""Clouds in the frames of an all-sky camera: from a frame to the covered part of each region.

For scheduling and as a veto: a star says whether its direction is covered, not how much light is
lost.
"""

from collections.abc import Callable, Collection, Iterator

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from ..core.allsky_file import AllskyCamera, AllskyFrame
from ..core.moon import Moon, moon
from ..core.night import sun_altitude
from ..core.site import Site
from ..core.star_catalogue import Stars
from .allsky_astrometry import Astrometry, refined_camera
from .allsky_cloud_fraction import (
    cloud_fraction,
    detection_probabilities,
    threshold_errors,
)
from .allsky_expectation import ExpectedStars, expected_stars
from .allsky_photometry import Photometry, filter_noise, photometry
from .allsky_projection import angle_to_axis, pixel_solid_angle, vignetting
from .allsky_regions import SkyRegions, region_index
from .allsky_result import AllskySettings, FrameResult
from .fram import kasten_young_airmass
from .night_sky import separation

__all__ = ["frame_result", "night_results"]

MARGIN = 3.0  # deg: catalogue stars beyond the last ring that shine into it
BRIGHT = 20.0  # significance of stars for the astrometry
N_BRIGHT = 150
USABLE = 0.3  # smallest p - q of a star that can tell


def night_results(
    frames: Callable[[Collection[str] | None], Iterator[AllskyFrame]],
    stars: Stars,
    site: Site,
    regions: SkyRegions,
    settings: AllskySettings,
) -> list[FrameResult]:
    """Results of the frames of a night; one frame is in memory at a time.

    A frame whose stars do not suffice for its astrometry (clouds) takes the first refined solution
    of the night; frames before it are looked at once more. If no frame has one, the header's is
    taken.

    Parameters
    ----------
    frames : callable
        Gives the frames, or only those with the given names.
    stars : Stars
        Of the night.
    site : Site
    regions : SkyRegions
    settings : AllskySettings
    """
    known: dict[AllskyCamera, AllskyCamera] = {}  # refined, by that of the header
    results: dict[str, FrameResult] = {}
    again = []
    for frame in frames(None):
        camera = known.get(frame.camera)
        result = frame_result(frame, stars, site, regions, settings, camera)
        results[frame.name] = result
        astrometry = result.astrometry
        if astrometry is not None and astrometry.is_refined:
            known.setdefault(frame.camera, astrometry.camera)
        elif astrometry is not None and camera is None:
            again.append(frame.name)
    if known and again:
        for frame in frames(again):
            if (camera := known.get(frame.camera)) is not None:
                results[frame.name] = frame_result(frame, stars, site, regions, settings, camera)
    return list(results.values())


def frame_result(
    frame: AllskyFrame,
    stars: Stars,
    site: Site,
    regions: SkyRegions,
    settings: AllskySettings,
    camera: AllskyCamera | None = None,
) -> FrameResult:
    """Cloud fraction and sky brightness of one frame, or why there is none.

    Parameters
    ----------
    frame : AllskyFrame
    stars : Stars
        Brightest first.
    site : Site
    regions : SkyRegions
    settings : AllskySettings
    camera : AllskyCamera, optional
        Projection from another frame of the night; that of the header if there is none.
    """
    lamp = moon(frame.time, site)
    status = _sky_defect(frame, site, lamp, settings) or _frame_defect(frame)
    if status:
        return FrameResult(frame.name, frame.time, status)

    def expected(of: AllskyCamera) -> ExpectedStars:
        limit = float(regions.zenith_max[-1]) + MARGIN
        return expected_stars(
            of, stars, frame.begin, frame.exposure, site, settings.sky, lamp, limit
        )

    start = camera or frame.camera
    predicted = expected(start)
    astrometry = _astrometry(frame, start, predicted, settings)
    if astrometry.is_lost:
        status = (
            f"astrometry failed: {astrometry.n_peaks} stars found, {astrometry.n_matched} where "
            "they should be"
        )
        return FrameResult(frame.name, frame.time, status, astrometry=astrometry)
    if astrometry.is_refined:
        predicted = expected(astrometry.camera)
    region = region_index(regions, predicted.azimuth, predicted.zenith)
    measured = photometry(
        astrometry.camera,
        frame.counts,
        predicted.x,
        predicted.y,
        predicted.light,
        wanted=(region >= 0) & predicted.is_first & (predicted.magnitude <= settings.faintest),
    )
    target = _targets(frame, predicted, measured, lamp, settings)
    known = {"astrometry": astrometry, "is_pointing_own": astrometry.is_refined or bool(camera)}
    return _judged(frame, predicted, measured, target, region, regions, settings, known)


def _sky_defect(frame: AllskyFrame, site: Site, lamp: Moon, settings: AllskySettings) -> str:
    sun = sun_altitude(frame.time, site).to_value(u.deg)
    if sun > settings.max_sun_altitude:
        return f"{'daylight' if sun > 0 else 'twilight'}: the Sun stands at {sun:.1f} deg"
    lit = lamp.illuminated_fraction
    if lamp.zenith < 90 * u.deg and lit > settings.max_moon_fraction:
        altitude = 90 - lamp.zenith.to_value(u.deg)
        return f"Moon in the frame: at {altitude:.0f} deg, {100 * lit:.0f} % lit"
    return ""


def _frame_defect(frame: AllskyFrame) -> str:
    """What is wrong with the pixels, from a sixteenth of them."""
    sample = frame.counts[::4, ::4]
    finite = np.isfinite(sample)
    if finite.mean() < 0.5:
        return f"no image: {100 * (1 - finite.mean()):.0f} % of the pixels are not finite"
    camera = frame.camera
    full = np.mean(sample[finite] >= camera.saturation)
    if full > 0.2:
        return f"saturated: {100 * full:.0f} % of the pixels at {camera.saturation:g} counts"
    return ""


def _astrometry(
    frame: AllskyFrame, camera: AllskyCamera, predicted: ExpectedStars, settings: AllskySettings
) -> Astrometry:
    """Refinement on stars that are the brightest within the search radius."""
    with np.errstate(invalid="ignore"):
        bright = predicted.light > BRIGHT * filter_noise(0, predicted.light, camera.psf_sigma)
        bright &= predicted.light > BRIGHT * predicted.noise
    chosen = np.flatnonzero(bright & predicted.is_first & np.isfinite(predicted.x))
    chosen = chosen[np.argsort(-predicted.light[chosen], kind="stable")][: 2 * N_BRIGHT]
    x, y, light = predicted.x[chosen], predicted.y[chosen], predicted.light[chosen]
    apart = np.maximum(np.abs(x - x[:, None]), np.abs(y - y[:, None]))
    rival = (apart < 2 * settings.search_radius) & (light[None, :] > light[:, None] / 2)
    np.fill_diagonal(rival, val=False)
    chosen = chosen[~rival.any(axis=1)][:N_BRIGHT]
    return refined_camera(
        camera,
        frame.counts,
        predicted.azimuth[chosen],
        predicted.zenith[chosen],
        settings.search_radius,
    )


def _targets(
    frame: AllskyFrame,
    predicted: ExpectedStars,
    measured: Photometry,
    lamp: Moon,
    settings: AllskySettings,
) -> NDArray:
    """Stars that are judged; clouds do not decide which."""
    camera = frame.camera
    noise = np.hypot(predicted.noise, filter_noise(0, predicted.light, camera.psf_sigma))
    peak = predicted.light / (2 * np.pi * camera.psf_sigma**2) / camera.gain + camera.pedestal
    target = (
        (predicted.light > settings.significance * noise)
        & (peak < 0.7 * camera.saturation)
        & np.isfinite(measured.light)  # of those that were measured
    )
    if lamp.zenith < 90 * u.deg:
        away = separation(predicted.azimuth, predicted.zenith, lamp.azimuth, lamp.zenith)
        target &= away > settings.moon_radius * u.deg
    return target


def _judged(
    frame: AllskyFrame,
    predicted: ExpectedStars,
    measured: Photometry,
    target: NDArray,
    region: NDArray,
    regions: SkyRegions,
    settings: AllskySettings,
    known: dict,
) -> FrameResult:
    light, found = predicted.light[target], measured.light[target]
    own = filter_noise(0, light, frame.camera.psf_sigma)
    relative = settings.scatter * np.log(10) / 2.5
    covered_noise = measured.noise[target]
    chances = (settings.threshold, relative)
    model = predicted.noise[target]
    model_clear, model_covered = detection_probabilities(
        light, np.hypot(model, own), model, *chances
    )
    clear, covered = detection_probabilities(
        light, np.hypot(covered_noise, own), covered_noise, *chances
    )
    can_tell = clear - covered > USABLE
    place = _with_enough(region[target], can_tell, len(regions))
    fraction = cloud_fraction(
        found > settings.threshold * light,
        clear,
        covered,
        model_clear - model_covered,
        place,
        regions.solid_angle.to_value(u.sr),
        settings.min_stars,
    )
    n_expected = float(clear[place >= 0].sum())
    if n_expected < settings.min_expected or not np.isfinite(fraction.total):
        status = f"too few stars expected: {n_expected:.0f}, needs {settings.min_expected}"
        return FrameResult(frame.name, frame.time, status, **known)
    transmission = found / light
    airmass = kasten_young_airmass(predicted.zenith[target])
    scale = np.hypot(settings.zero_point_error, settings.extinction_error * airmass.mean())
    errors = threshold_errors(
        transmission[place >= 0],
        (np.hypot(np.hypot(covered_noise, own), relative * light) / light)[place >= 0],
        settings.threshold,
        scale * np.log(10) / 2.5,
        settings.efficiency_error,
        np.append(fraction.region, fraction.total),
    )
    seen = transmission[(place >= 0) & (transmission > settings.threshold)]
    return FrameResult(
        frame.name,
        frame.time,
        "",
        fraction=fraction,
        sys_error=float(errors[-1]),
        region_sys_error=errors[:-1],
        region_brightness=_brightness(frame, predicted, measured, region, len(regions)),
        transparency=float(np.median(seen)) if seen.size else np.nan,
        **known,
    )


def _with_enough(region: NDArray, can_tell: NDArray, n_regions: int) -> NDArray:
    """Region of stars that can tell; none in regions where most cannot (bright background)."""
    all_stars = np.bincount(region, minlength=n_regions)
    telling = np.bincount(region[can_tell], minlength=n_regions)
    return np.where(can_tell & (2 * telling >= all_stars)[region], region, -1)


def _brightness(
    frame: AllskyFrame,
    predicted: ExpectedStars,
    measured: Photometry,
    region: NDArray,
    n_regions: int,
) -> NDArray:
    """Median sky brightness of each region, mag/arcsec2, in the camera's band as V."""
    camera = frame.camera
    off_axis = angle_to_axis(camera, predicted.azimuth, predicted.zenith)
    area = pixel_solid_angle(camera, off_axis).to_value(u.arcsec**2)
    rate = measured.background / frame.exposure.to_value(u.s) / area
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = camera.zero_point - 2.5 * np.log10(rate / vignetting(camera, off_axis))
    found = np.full(n_regions, np.nan)
    for k in range(n_regions):
        here = magnitude[(region == k) & np.isfinite(magnitude)]
        if here.size:
            found[k] = np.median(here)
    return found
