"""Section of the page about aerosols and clouds."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from matplotlib.figure import Figure

from .aerosol_clouds import cloud_rows, clouds
from .aerosol_conditions import (
    good_periods,
    interval_rows,
    livetimes,
    median_curves,
    quality_of,
)
from .aerosol_night import AerosolNight, aerosol_night, days, fact, numbers, period
from .aerosol_numbers import frame_status, instrument_rows
from .aerosol_series import (
    ALL_SKY_REGIONS,
    cloud_fraction,
    fram_depth,
    lidar_depth,
    lidar_status,
    reference_wavelength,
    spans,
    transparency,
)
from .aerosol_transparency import good_range, telescope_transparency
from .inline_svg import inline_svg
from .material import NightMaterial
from .wording import counted

__all__ = ["aerosol_facts"]

MAX_OPEN = 16  # clouds of a table that is open from the start


def aerosol_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Verdict, instruments, clouds and figures; None where nothing is there or expected."""
    night = aerosol_night(material)
    if night is None:
        return None
    rows = cloud_rows(night)
    return {
        "verdict": _verdict(night),
        "about": "What dims Cherenkov light besides the molecules. Altitudes are above sea level; "
        "optical depths are vertical, from the observatory upwards. VAOD: vertical aerosol optical "
        "depth; CTC: Cherenkov transparency coefficient, 1 in a typical clear night.",
        "instruments": instrument_rows(material, night),
        "intervals": interval_rows(night),
        "clouds": rows,
        "wavelengths": night.lidar.facts["wavelengths_in_nm"] if night.lidar else [],
        "clouds_told": _told(night, rows),
        "is_open": len(rows) <= MAX_OPEN,
        "figures": [
            {
                "name": f"aerosol-{part}",
                "title": title,
                "caption": caption,
                "svg": inline_svg(figure, f"aerosol-{part}", f"{title}. {caption}"),
            }
            for part, title, caption, figure in _figures(material, night)
        ],
    }


def _verdict(night: AerosolNight) -> dict[str, str]:
    """The air of the night in one word and one sentence; the level is one of the status."""
    parts, found = [], clouds(night)
    if found:
        parts.append(counted(len(found), "cloud") + " above the LIDAR")
    if (sky := cloud_fraction(night)) is not None and sky.known.any():
        parts.append(f"up to {100 * sky.value[sky.known].max():.0f} % of the sky covered")
    if (light := transparency(night)) is not None and light.known.any():
        bad = light.known & ~light.is_good
        told = f"out of range {spans(light, bad, 2)}" if bad.any() else "in range all the time"
        parts.append(f"transparency {told}")
    if night.observation_conditions is not None:
        return _time_verdict(night, parts)
    sentence = "; ".join(parts)
    if night.clear_night is None:
        return {"level": "warning", "word": "Not judged", "sentence": sentence}
    windows, facts = fram_depth(night), night.clear_night.facts
    if facts["is_clear"]:
        return {"level": "complete", "word": "Clear", "sentence": sentence}
    clear = spans(windows, windows.is_good)
    told = f"clear only {clear}" if clear else "at no time clear"
    sentence = "; ".join([told, *parts])
    return {"level": "warning", "word": "Not clear", "sentence": sentence}


def _time_verdict(night: AerosolNight, parts: list[str]) -> dict[str, str]:
    """How much of the night is good, when, and what is seen."""
    hours = livetimes(night)
    whole = sum(hours.values())
    told = [f"{hours['good']:.2f} of {whole:.2f} h good"]
    if 0 < hours["good"] < whole:
        told[0] += f" ({good_periods(night)})"
    told += [f"{value:.2f} h {name}" for name, value in hours.items() if name != "good" and value]
    level, word = "failed", "No usable time"
    if hours["good"] == whole > 0:
        level, word = "complete", "Good"
    elif hours["good"] + hours["correctable"] > 0:
        level, word = "warning", "Good in part" if hours["good"] else "Correctable at best"
    sentence = "; ".join([", ".join(told), *parts])
    return {"level": level, "word": word, "sentence": sentence}


def _told(night: AerosolNight, rows: list[dict[str, Any]]) -> str:
    """Of the table of clouds."""
    if night.lidar is None:
        return "Clouds are not known: there is no LIDAR of this night."
    if rows:
        return f"{counted(len(rows), 'cloud')} above the LIDAR"
    if (lidar_status(night) == "").any():
        return "No cloud above the LIDAR."
    return "Clouds are not known: no profile of the LIDAR could be used."


def _figures(
    material: NightMaterial, night: AerosolNight
) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption, figure; of what there is."""
    if material.darkness is not None:
        darkness = material.darkness.dusk, material.darkness.dawn
        yield from _strip(night, darkness)
        if night.lidar is not None and (lidar_status(night) == "").any():
            yield _backscatter(material, night, darkness)
    if night.allsky is not None:
        yield from _sky(night)
    if night.observation_conditions is not None:
        yield from _median(material, night)
    if night.transparency_coefficient is not None:
        if material.darkness is not None:
            yield from _telescopes(night, darkness)
        yield from _nights(material, night)


def _strip(night: AerosolNight, darkness: Any) -> Iterator[tuple[str, str, str, Figure]]:
    from .aerosol_figures import strip_figure

    parts, wavelength = [], reference_wavelength(night)
    depths = [one for one in (fram_depth(night), lidar_depth(night)) if one is not None]
    depths = [one for one in depths if one.known.any()]
    sky, light = cloud_fraction(night), transparency(night)
    sky = sky if sky is not None and sky.known.any() else None
    light = light if light is not None and light.known.any() else None
    quality = quality_of(night)
    if not (depths or sky or light or quality):
        return
    limit = night.clear_night.facts["limits"]["max_vaod"] if night.clear_night else None
    if quality is not None:
        parts.append(
            "Top: quality of the air, the higher the bar the better, and below it each reason "
            "against it while it holds."
        )
    if depths:
        whose = " and ".join(dict.fromkeys(one.label for one in depths))
        parts.append(
            f"VAOD of {whose} at {wavelength:g} nm, clouds included"
            f"{', with the limit of a clear night' if limit is not None else ''}; triangles lie "
            "beyond the axis."
        )
    if sky is not None:
        parts.append("Part of the sky that the all-sky camera finds covered.")
    if light is not None:
        parts.append("Transparency (CTC) between the limits of good slices.")
    parts.append(
        "Lines: statistical errors; broad bands: systematic ones, common to most of the night. "
        "On red: not good. Good: no red, VAOD flat and below its limit, no clouds, transparency "
        "flat near 1. A change that only one of them sees is the instrument's."
    )
    figure = strip_figure(
        darkness,
        quality=quality,
        depths=depths,
        depth_label=f"VAOD, {wavelength:g} nm",
        depth_limit=limit,
        cloud=sky,
        transparency=light,
        limits=good_range(night) if light is not None else None,
    )
    yield "strip", "The air over the night", " ".join(parts), figure


def _backscatter(
    material: NightMaterial, night: AerosolNight, darkness: Any
) -> tuple[str, str, str, Figure]:
    from .aerosol_profile_figures import backscatter_figure

    table, line = night.lidar.table, night.lidar.facts["wavelengths_in_nm"][-1]
    figure = backscatter_figure(
        days(table["time"]),
        numbers(night.lidar.facts["altitude_in_m"]) / 1000,
        numbers(table[f"backscatter_{line}nm"]),
        clouds(night),
        line,
        material.site.elevation,
        darkness,
    )
    return (
        "backscatter",
        "Backscatter of aerosols and clouds",
        f"LIDAR at {line} nm, without the molecules; each profile is drawn as wide as profiles are "
        "apart. Lines: bases of clouds; dashes: their tops. Hatched: not known (no profile, or "
        "above a cloud that lets no light through). Good: colour only near the ground, and the "
        "same all night.",
        figure,
    )


def _sky(night: AerosolNight) -> Iterator[tuple[str, str, str, Figure]]:
    from .aerosol_sky_figure import sky_figure, sky_maps

    product = night.allsky
    regions = product.facts["regions"]
    regions = {f"{name}_in_deg": regions[f"{name}_in_deg"] for name in ALL_SKY_REGIONS}
    fraction = numbers(product.table["region_cloud_fraction"]).reshape(len(product.table), -1)
    maps = sky_maps(days(product.table["time"]), fraction, frame_status(night) == "")
    if not maps:
        return
    titles = [period(one.begin, one.end) for one in maps]
    yield (
        "sky",
        "Clouds over the sky",
        "Cloud fraction of regions of the sky from below: zenith in the middle, north up, east to "
        "the left. Each map is the median over the frames of a part of the night. Hatched: not "
        "known. Good: pale all over; clouds drift through the maps, a region that stays dark is a "
        "mountain, a lamp, the Moon or dirt on the dome.",
        sky_figure(maps, regions, titles),
    )


def _median(material: NightMaterial, night: AerosolNight) -> Iterator[tuple[str, str, str, Figure]]:
    from .aerosol_profile_figures import median_figure

    quality, curves = median_curves(night)
    if not curves:
        return
    others = f"; thin: {counted(len(curves) - 1, 'other interval')}" if len(curves) > 1 else ""
    yield (
        "transmission",
        "Transmission of aerosols and clouds",
        f"Median over the slices of the longest {quality} interval ({period(*curves[0]['span'])}) "
        f"from each altitude down to the observatory, by wavelength, with its statistical and "
        f"systematic errors in quadrature{others}. Molecules are not in it. Good: one step near "
        "the ground, straight up above it, the same in all intervals; a step higher up is a cloud.",
        median_figure(
            curves,
            numbers(night.observation_conditions.facts["wavelength_in_nm"]),
            material.site.elevation,
        ),
    )


def _telescopes(night: AerosolNight, darkness: Any) -> Iterator[tuple[str, str, str, Figure]]:
    from .aerosol_transparency import telescopes_figure

    found, array = telescope_transparency(night), transparency(night)
    if not found.names:
        return
    yield (
        "telescopes",
        "Transparency by telescope",
        "Thin lines: telescopes, with statistical errors; bars: the array and its systematic "
        "error, on red outside the limits (dashed). Good: all together and flat near 1. All of "
        "them low: the air. One of them apart: its throughput, gain, dead time or threshold.",
        telescopes_figure(found, array, good_range(night), darkness),
    )


def _nights(material: NightMaterial, night: AerosolNight) -> Iterator[tuple[str, str, str, Figure]]:
    """Mean transparency of the nights before beside this one's; nothing without them."""
    import numpy as np
    from matplotlib import dates

    from .throughput_history import TelescopeSeries, history_figure

    found = dict(material.transparency_before)
    if not found:
        return
    found[material.night] = night.transparency_coefficient
    names = sorted(found)
    day = np.array([dates.date2num(date.fromisoformat(name)) for name in names])
    columns = (
        np.array([fact(found[name], key) for name in names])
        for key in ("transparency", "stat_error", "sys_error")
    )
    series = TelescopeSeries("array", 0, day, *columns)
    yield (
        "nights",
        "Transparency of the nights before",
        f"Mean of {counted(len(names) - 1, 'earlier night')} and, on the right, of this one. "
        "Lines: statistical errors; broad bars: systematic ones, most of which all nights have in "
        "common. Dashed: limits of good slices. Good: between them; single low nights are weather, "
        "a steady fall is the telescopes' or the references'.",
        history_figure(
            [series], "Cherenkov transparency coefficient", day[0], day[-1], good_range(night)
        ),
    )
