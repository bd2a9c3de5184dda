"""Figures of dedicated runs of a camera, with captions that say what good looks like."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .dedicated_night import (
    CROSSTALK,
    DRS4,
    EXCLUSION,
    PDE,
    SPE,
    TRANSFER,
    DedicatedCamera,
    gain_ratios,
)
from .dedicated_pedestal import pedestal_figures
from .dedicated_remarks import AGREE, POOR

__all__ = ["MAPS", "dedicated_figures"]

MAPS = (
    *("spe-gain", "spe-resolution", "transfer-gain", "ratio-map", "crosstalk-map"),
    *("pedestal-map", "nsb-map", "drs4-baseline"),
)
"""Figures of 100 kB."""
SPECTRA = {  # title, what is told
    "typical": ("Spectrum of a typical pixel", "χ² over its degrees of freedom is the median"),
    "best": ("Spectrum of the best fit", "the largest p-value"),
    "worst": ("Spectrum of the worst fit", "the smallest p-value of all that have a fit"),
}

type Drawn = Iterator[tuple[str, str, str, Figure]]


def dedicated_figures(camera: DedicatedCamera) -> Drawn:
    """Name, title, caption, figure; of what there is."""
    if SPE in camera.products:
        yield from _spectra(camera)
        yield from _spe(camera)
    if TRANSFER in camera.products:
        yield from _transfer(camera)
    yield from _comparison(camera)
    yield from pedestal_figures(camera)
    if CROSSTALK in camera.products:
        yield from _crosstalk(camera)
    if DRS4 in camera.products:
        yield from _drs4(camera)
    if PDE in camera.products:
        yield _efficiency(camera)
    if EXCLUSION in camera.products:
        yield from _exclusion(camera)


def _spectra(camera: DedicatedCamera) -> Drawn:
    from ..camera.spe_curve import fitted_curve
    from .spe_examples import example_rows
    from .spe_figures import spectrum_figure

    product = camera.products[SPE]
    pixels, spectra = product.tables["pixels"], product.tables["spectra"]
    place = {int(row): k for k, row in enumerate(spectra["row"])}
    recovery = float(product.facts.get("configuration", {}).get("recovery_ratio", 1.0))
    for name, row in example_rows(pixels).items():
        pixel, spectrum = pixels[row], spectra[place[row]]
        title, why = SPECTRA[name]
        chi2, n_dof, p_value = (float(pixel[n]) for n in ("chi2", "n_dof", "p_value"))
        told = (
            f"Pixel {pixel['pixel_id']}: χ² {chi2:.0f} for {n_dof:.0f} degrees of freedom, "
            f"p-value {_chance(p_value)}: {why}."
        )
        good = (
            " Steps: events; red: fit; other lines: its parts by the number of photoelectrons. "
            "Below: bins joined to 10 expected events or more. Good: red on the steps, residuals "
            "within the shade but for 1 in 20, without waves."
        )
        runs = {"nominal": title}
        has_high = name != "best" and "high_voltage_counts" in spectra.colnames
        if has_high and np.isfinite(float(_plain(pixel["high_light"]))):
            runs["high_voltage"] = f"{title}, high voltage"
        for run, run_title in runs.items():
            part = f"spectrum-{name}" + "-high" * (run == "high_voltage")
            curve = fitted_curve(pixel, spectrum, run, recovery)
            more = good if part == "spectrum-typical" else ""
            yield part, run_title, told + more, spectrum_figure(curve)


def _chance(p_value: float) -> str:
    """A p-value: three places, or as a power of ten where they would be 0."""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1g}"


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def _spe(camera: DedicatedCamera) -> Drawn:
    from .pixel_map import pixel_map
    from .spe_figures import chance_figure, gains_figure

    product = camera.products[SPE]
    gain, free = camera.of_spe("gain"), camera.of_spe("model_independent_gain")
    if not np.isfinite(gain).any():
        return
    for column, title, label, good in (
        ("gain", "Gain", "gain (ADC/p.e.)", "pixels of all modules alike, within some percent"),
        (
            "resolution",
            "Resolution of a photoelectron",
            "resolution",
            "0.3 to 0.7, without a pattern",
        ),
    ):
        yield (
            f"spe-{column}",
            f"{title}, single photoelectrons",
            f"Grey: no number to rely on. Good: {good}. A step from module to module: voltages.",
            pixel_map(product.geometry, camera.of_spe(column), label),
        )
    p_values = camera.of_spe("p_value", good_only=False)
    yield (
        "spe-chances",
        "Goodness of the fits",
        "Pixels that have a fit. Dashed: what the right model gives, with its standard deviation. "
        f"Good: flat; fewer than {100 * POOR:g} % in the first bin beyond that. All at the left: "
        "the model does not describe the spectra.",
        chance_figure(p_values, 0.001),
    )
    error = camera.of_spe("model_independent_gain_stat_error")
    difference = product.facts["model_difference"][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = (free - gain) / np.where(error > 0, error, np.nan)
    yield (
        "spe-gains",
        "Gain with and without a model",
        "Left: gain from the moments of the spectra alone against that of the fit, dashed: equal. "
        "Right: difference over the error of the former. Good: on the line, about 0. A common "
        f"difference, here {100 * difference:.1f} % beyond chance, is in the systematic error.",
        gains_figure(gain, free, pull),
    )


def _transfer(camera: DedicatedCamera) -> Drawn:
    from .pixel_map import pixel_map
    from .transfer_figures import (
        linearity_figure,
        ratio_figure,
        transfer_figure,
        typical_pixel,
    )

    product = camera.products[TRANSFER]
    pixels, points = product.tables["pixels"], product.tables["points"]
    gain, pixel = camera.of_transfer("gain"), typical_pixel(pixels)
    if pixel is None:
        return
    yield (
        "transfer",
        "Photon transfer of a typical pixel",
        f"Pixel {pixel}, {_transfer_told(pixels, pixel)} Lines: var = F² g S + B² S²; dotted: "
        "variance of the pedestal. Full points count, open ones do not; dashed: turn-off, above "
        "which the electronics saturate. Good: points on the line, residuals within the shade.",
        transfer_figure(pixels, points, pixel),
    )
    tolerance = float(product.facts.get("configuration", {}).get("linearity_tolerance", 0.02))
    yield (
        "linearity",
        "Linearity",
        "Signal over response times light, less 1. Line: median of the pixels; bands: 68 and 95 % "
        f"of them, errors included. Red dashes: ±{100 * tolerance:g} %. Light from the "
        f"{product.facts['light_from']}. Good: within the dashes up to where the gain saturates; "
        "all points of one light off in both gains: the light is not what was told.",
        linearity_figure(pixels, points, tolerance),
    )
    yield (
        "transfer-gain",
        "Gain, photon transfer",
        "High gain. Grey: pixels with a fault. Good: as the gain from single photoelectrons.",
        pixel_map(product.geometry, gain[0], "gain (ADC/p.e.)"),
    )
    ratio, error = camera.of_ratio("ratio"), camera.of_ratio("ratio_stat_error")
    if ratio is not None and np.isfinite(ratio).any():
        yield (
            "ratio-map",
            "High gain over low gain",
            "Electronics alone: light and photomultipliers have no part in it. Grey: pixels with a "
            "fault. Good: some percent from pixel to pixel, no pattern.",
            pixel_map(product.geometry, ratio, "high gain / low gain"),
        )
        yield (
            "ratio",
            "Distribution of high over low gain",
            "Dashed: median. Pixels beyond the axes are counted in the outermost bins. Good: one "
            "peak, errors below 0.5 %. A second peak: another kind of electronics.",
            ratio_figure(ratio, error),
        )


def _transfer_told(pixels: Any, pixel: int) -> str:
    """Numbers of each channel of a pixel."""
    row, told = pixels[0], []
    for channel, name in enumerate(("high gain", "low gain")[: np.shape(row["gain"])[0]]):
        gain, error, noise, chi2, n = (
            float(row[column][channel, pixel])
            for column in ("gain", "gain_stat_error", "read_noise", "chi2", "n_degrees")
        )
        told.append(
            f"{name}: g {gain:.4g} ± {error:.2g} ADC/p.e., pedestal σ {noise:.3g} ADC, "
            f"χ² {chi2:.1f} for {n:.0f} degrees of freedom"
        )
    return f"{'; '.join(told)}."


def _comparison(camera: DedicatedCamera) -> Drawn:
    from .transfer_figures import comparison_figure

    ratios = {n: v for n, v in gain_ratios(camera).items() if np.isfinite(v).any()}
    if camera.has_set and ratios:
        yield (
            "gains",
            "Gains from different methods",
            "High gain, pixel by pixel. F-factor: of the coefficients of the night. Pixels beyond "
            f"the axes are counted in the outermost bins. Shade: agreement within {100 * AGREE:g} "
            "%. Good: medians in the shade. All ratios to one method off: that method, its F² or "
            "its window of integration.",
            comparison_figure(ratios),
        )


def _crosstalk(camera: DedicatedCamera) -> Drawn:
    from .crosstalk_figures import crosstalk_sums, pair_figure
    from .pixel_map import pixel_map

    product = camera.products[CROSSTALK]
    pairs = product.tables["pairs"]
    value = np.asarray(pairs["crosstalk"], float)
    if not np.isfinite(value).any():
        return
    way = "" if product.facts["has_direction"] else " Of both directions of a pair the mean."
    yield (
        "crosstalk-pairs",
        "Cross-talk of pairs of neighbours",
        f"Part of the charge of a pixel that a neighbour sees.{way} Dashed: what the errors of the "
        "pairs alone would give. Good: mean below 1 %, no tail to the right.",
        pair_figure(value, np.asarray(pairs["stat_error"], float)),
    )
    has_direction = bool(product.facts["has_direction"])
    n_pixels = product.geometry.n_pixels
    sums = 100 * crosstalk_sums(pairs, n_pixels, has_direction=has_direction)
    if np.isfinite(sums).any():
        yield (
            "crosstalk-map",
            "Cross-talk to all neighbours",
            "Sum over the neighbours of a pixel, fewer at the rim. Grey: not all pairs are "
            "measured. Good: no other pattern; modules that stand out: electronics.",
            pixel_map(product.geometry, sums, "sum over the neighbours (% of the charge)"),
        )


def _drs4(camera: DedicatedCamera) -> Drawn:
    from ..camera.drs4_tables import law_of_table, sampling_of_table
    from .drs4_figures import noise_figure, sampling_figure, time_lapse_figure
    from .pixel_map import pixel_map

    product, noise = camera.products[DRS4], camera.of_drs4("noise")
    if not np.isfinite(noise).any():
        return
    law = law_of_table(product.tables["law"])
    if "points" in product.tables:
        yield (
            "drs4-lapse",
            "Time lapse of the capacitors",
            "What a reading has too much shortly after its capacitor was read before, mean of all "
            f"good pixels; line: law {law.amplitude:.2f} t^−{law.exponent:.4f} − {law.offset:.2f}, "
            f"χ² {law.chi2:.0f} for {law.n_degrees} degrees of freedom. "
            "Below: what is left. Good: points of both gains on the line. A step at the right: "
            "rested capacitors are not at rest; waves: events are lost, times are too long.",
            time_lapse_figure(product.tables["points"], law),
        )
    yield (
        "drs4-noise",
        "Noise before and after",
        "Spread: standard deviation of the baselines of the capacitors of a pixel, which the "
        "correction takes away. Noise left: of a sample about the baseline of its capacitor. Good: "
        "narrow; noise left is that of the electronics. A tail to the right: spikes, noisy pixels.",
        noise_figure(noise, camera.of_drs4("spread")),
    )
    yield (
        "drs4-baseline",
        "Mean baseline of the capacitors",
        "High gain, mean of the 4096 capacitors of a pixel. Grey: pixels with a fault. Good: some "
        "ADC about the common offset; modules that stand out: electronics.",
        pixel_map(product.geometry, camera.of_drs4("baseline")[0], "mean baseline (ADC)"),
    )
    if "sampling" in product.tables:
        times = sampling_of_table(product.tables["sampling"])
        rms = np.sqrt((times.cosine**2 + times.sine**2).sum(axis=(0, 1)))
        if np.isfinite(rms).any():
            pixel = int(np.nanargmin(np.abs(rms - np.nanmedian(rms))))
            yield (
                "drs4-sampling",
                "Sampling times of a typical pixel",
                f"Pixel {pixel}. Time by which a pulse seems late against the number of its first "
                "capacitor. Shade: statistical error. Good: below 2 ns, shade much narrower than "
                "the curve.",
                sampling_figure(times, pixel),
            )


def _efficiency(camera: DedicatedCamera) -> tuple[str, str, str, Figure]:
    from .crosstalk_figures import efficiency_figure

    facts = camera.products[PDE].facts
    more = [f"{facts['origin']}, measured {facts['measured']}"]
    if facts.get("temperature_in_celsius") is not None:
        more.append(f"at {facts['temperature_in_celsius']:g} °C")
    if facts.get("reference"):
        more.append(str(facts["reference"]))
    return (
        "efficiency",
        "Photon detection efficiency",
        f"From a laboratory: {', '.join(more)}. A line for each angle of incidence, with its "
        "error. Good: smooth, error below 5 % of the largest.",
        efficiency_figure(camera.products[PDE].table),
    )


def _exclusion(camera: DedicatedCamera) -> Drawn:
    from .exclusion_figures import REASON_COLOURS, exclusion_classes, exclusion_history_figure
    from .pixel_map import class_map

    product = camera.products[EXCLUSION]
    pixels, history = product.tables["pixels"], product.tables["evidence"]
    excluded = np.asarray(pixels["is_excluded"], bool)
    evidence = np.asarray(history["evidence"], int).reshape(len(history), -1)
    yield (
        "excluded",
        "Excluded pixels by reason",
        "Of several reasons the first of the legend is drawn, the table has all. Red outline: "
        "evidence of this night, not excluded, because it was not seen in nights enough or an "
        "operator has decided so. Good: few, no whole modules.",
        class_map(
            product.geometry,
            np.where(excluded, exclusion_classes(pixels["reasons"]), 0),
            REASON_COLOURS,
            (evidence[-1] != 0) & ~excluded,
            "evidence, not excluded",
        ),
    )
    nights = [str(night) for night in history["night"]]
    since = [str(night) for night in np.asarray(pixels["since"])[excluded]]
    if len(nights) > 1:
        yield (
            "excluded-nights",
            "Excluded pixels over the nights",
            "Above: pixels with evidence against them, by reason, in the nights that count. Below: "
            "of the pixels that are excluded now, how many were so in a night already. Good: few "
            "and steady; a jump in one reason alone: look at that product first.",
            exclusion_history_figure(nights, evidence, since),
        )
