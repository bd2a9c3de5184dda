"""What the coefficients of a camera say in numbers: medians, errors, masked pixels and why."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from astropy.table import Table

from ..camera.coefficients import InvalidReason
from ..camera.outliers import MAD_TO_SIGMA, PixelReason
from .material import DL0_INDEX, FoundProduct, NightMaterial
from .wording import counted, listed, rounded, with_errors

__all__ = [
    "CHANNELS",
    "bad_pixels",
    "block_name",
    "camera_numbers",
    "camera_remarks",
    "drift",
    "masked_pixels",
    "nan_quantiles",
    "night_median",
    "pixel_columns",
    "used_reasons",
]

CHANNELS = ("high gain", "low gain")
REASONS = {  # the most telling first
    PixelReason.TOO_FEW_EVENTS: "too few events",
    PixelReason.DEAD: "dead",
    PixelReason.PEDESTAL_MEAN: "pedestal off",
    PixelReason.PEDESTAL_STD: "pedestal noise off",
    PixelReason.FLATFIELD_CHARGE: "flat-field charge off",
    PixelReason.FLATFIELD_STD: "flat-field spread off",
    PixelReason.PEAK_TIME: "peak time off",
    PixelReason.N_PE: "photo-electrons off",
    PixelReason.NON_FINITE: "no finite number",
}
INVALID = {
    InvalidReason.BAD_PIXELS: "too many bad pixels",
    InvalidReason.NO_PEDESTAL: "no pedestal chunk",
    InvalidReason.NO_FLATFIELD: "no flat-field chunk",
    InvalidReason.NO_PEAK_TIME: "no peak-time chunk",
    InvalidReason.TOO_FEW_EVENTS: "too few pedestal events",
}


def block_name(product: FoundProduct) -> str:
    """``LSTN-01, observation 1``."""
    return f"{product.facts['array_element']}, observation {product.facts['obs_id']}"


def _valid(table: Table) -> np.ndarray:
    return np.asarray(table["is_valid"], bool)


def _good(table: Table) -> np.ndarray:
    """Values that count: of valid rows, not masked, (n_rows, n_channels, n_pixels)."""
    return ~np.asarray(table["outlier_mask"], bool) & _valid(table)[:, None, None]


def night_median(table: Table, column: str, good_only: bool = True) -> np.ndarray:
    """Median over the valid rows of each channel and pixel, (n_channels, n_pixels).

    NaN where a pixel is masked in every valid row, unless masked values count, too.
    """
    values = np.asarray(table[column], float)
    counted_in = _good(table) if good_only else _valid(table)[:, None, None] & np.isfinite(values)
    return nan_quantiles(np.where(counted_in, values, np.nan), (0.5,), axis=0)[0]


def drift(table: Table, column: str, *, in_percent: bool) -> np.ndarray:
    """How far the good pixels are from their own median over the night.

    16, 50 and 84 % quantiles over pixels of the difference, or of the ratio less 1 in percent;
    (3, n_rows, n_channels), NaN in invalid rows.
    """
    values = np.where(_good(table), np.asarray(table[column], float), np.nan)
    change = values - night_median(table, column)
    if in_percent:
        with np.errstate(divide="ignore", invalid="ignore"):
            change *= 100 / night_median(table, column)
    return nan_quantiles(change, (0.16, 0.5, 0.84), axis=2)


def nan_quantiles(values: np.ndarray, quantiles: tuple[float, ...], axis: int) -> np.ndarray:
    """Quantiles without NaN, NaN where there is nothing else; `numpy.nanquantile` takes seconds."""
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)  # NaN are last
    n = np.count_nonzero(~np.isnan(ordered), axis=0)
    found = []
    for quantile in quantiles:
        place = quantile * np.maximum(n - 1, 0)
        below = place.astype(int)
        above = np.minimum(below + 1, np.maximum(n - 1, 0))
        low, high = (
            np.take_along_axis(ordered, index[np.newaxis], axis=0)[0] for index in (below, above)
        )
        found.append(low + (place - below) * (high - low))
    return np.stack(found)


def used_reasons(table: Table) -> np.ndarray:
    """Bits of `PixelReason` of each pixel in any valid row and channel, (n_pixels,) uint16."""
    reasons = np.asarray(table["reasons"])[_valid(table)]
    return np.bitwise_or.reduce(reasons.reshape(-1, reasons.shape[-1]), axis=0)


def masked_pixels(table: Table) -> np.ndarray:
    """Numbers of the pixels that are masked in any valid row."""
    return np.flatnonzero(_masked_rows(table))


def _masked_rows(table: Table) -> np.ndarray:
    """Number of valid rows in which each pixel is masked, (n_pixels,)."""
    return np.asarray(table["outlier_mask"], bool)[_valid(table), 0].sum(axis=0)


def bad_pixels(table: Table) -> list[dict[str, Any]]:
    """Pixels that are masked in any valid row: ``id``, ``rows``, ``reasons``, ``values``.

    Values: gain, pedestal and photo-electrons of each channel, medians over the valid rows, masked
    or not; a dash for what is no number.
    """
    reasons, rows = used_reasons(table), _masked_rows(table)
    n_rows = int(_valid(table).sum())
    medians = [
        (night_median(table, name, good_only=False), digits) for name, digits, _ in _PIXEL_COLUMNS
    ]
    return [
        {
            "id": int(pixel),
            "rows": f"{rows[pixel]} of {n_rows}",
            "reasons": ", ".join(text for bit, text in REASONS.items() if reasons[pixel] & bit),
            "values": [
                rounded(float(value), digits=digits)[0]
                for median, digits in medians
                for value in median[:, pixel]
            ],
        }
        for pixel in masked_pixels(table)
    ]


_PIXEL_COLUMNS = (
    ("gain", 4, "ADC/p.e."),
    ("pedestal_offset", 5, "pedestal"),
    ("n_pe", 3, "p.e."),
)


def pixel_columns(table: Table) -> list[str]:
    """Heads of the values of `bad_pixels`."""
    n_channels = table["factor"].shape[1]
    short = [name.split()[0] for name in CHANNELS[:n_channels]]
    return [f"{title}, {gain}" for _, _, title in _PIXEL_COLUMNS for gain in short]


def _number(name: str, **facts: Any) -> dict[str, Any]:
    nothing = {"value": "–", "stat": "", "sys": "", "total": "", "unit": "", "notes": []}
    return {"name": name} | nothing | facts


def camera_numbers(table: Table) -> list[dict[str, Any]]:
    """Key numbers of a camera, all of valid rows and of pixels that are not masked."""
    n_channels = table["factor"].shape[1]
    return [
        _rows_number(table),
        _pixels_number(table),
        *(_gain_number(table, channel) for channel in range(n_channels)),
        _plain_number(table, "Photo-electrons of a flash", "n_pe", 0, "p.e."),
        *(
            _plain_number(table, "Pedestal", "pedestal_offset", channel, "ADC per sample")
            for channel in range(n_channels)
        ),
        _time_number(table, 0),
    ]


def _rows_number(table: Table) -> dict[str, Any]:
    why = invalid_reasons(table)
    return _number(
        "Valid rows of coefficients",
        value=str(int(_valid(table).sum())),
        unit=f"of {len(table)}",
        notes=[why] if why else ["each replaces the one before when a chunk changes"],
    )


def _pixels_number(table: Table) -> dict[str, Any]:
    masked, reasons = _masked_rows(table) > 0, used_reasons(table)
    counts = [(int(np.count_nonzero(masked & (reasons & bit > 0))), bit) for bit in REASONS]
    return _number(
        "Usable pixels",
        value=str(int(np.count_nonzero(~masked))),
        unit=f"of {len(masked)}",
        notes=[f"{REASONS[bit]}: {n}" for n, bit in sorted(counts, key=lambda c: -c[0]) if n]
        or ["none is masked"],
    )


def _channel(table: Table, column: str, channel: int) -> np.ndarray:
    """Medians over the night of the good pixels of a channel."""
    values = night_median(table, column)[channel]
    return values[np.isfinite(values)]


def _median_and_scatter(values: np.ndarray) -> tuple[float, float]:
    """Median and robust standard deviation, NaN of nothing."""
    if not values.size:
        return np.nan, np.nan
    median = np.median(values)
    return float(median), float(MAD_TO_SIGMA * np.median(np.abs(values - median)))


def _gain_number(table: Table, channel: int) -> dict[str, Any]:
    median, scatter = _median_and_scatter(_channel(table, "gain", channel))
    errors = [
        _median_and_scatter(_channel(table, f"gain_{kind}_error", channel))[0]
        for kind in ("stat", "sys")
    ]
    return _number(
        f"Median gain, {CHANNELS[channel]}",
        **with_errors(median, *errors),
        unit="ADC/p.e.",
        notes=[
            f"pixels scatter by {100 * scatter / median:.2f} % (robust standard deviation)",
            "errors: of one pixel and row, in the median",
        ],
    )


def _plain_number(table: Table, name: str, column: str, channel: int, unit: str) -> dict[str, Any]:
    median, scatter = _median_and_scatter(_channel(table, column, channel))
    return _number(
        f"{name}, {CHANNELS[channel]}",
        value=rounded(median, scatter)[0],
        unit=unit,
        notes=[f"median; pixels scatter by {rounded(scatter, digits=2)[0]} {unit}"],
    )


def _time_number(table: Table, channel: int) -> dict[str, Any]:
    values = _channel(table, "time_shift", channel)
    _, scatter = _median_and_scatter(values)
    extreme = float(np.max(np.abs(values))) if values.size else np.nan
    return _number(
        f"Spread of the time shifts, {CHANNELS[channel]}",
        value=rounded(scatter, digits=3)[0],
        unit="ns",
        notes=[f"robust standard deviation; largest shift {rounded(extreme, digits=3)[0]} ns"],
    )


def invalid_reasons(table: Table) -> str:
    """Why rows are invalid, in words; empty if none is."""
    bits = np.asarray(table["invalid_reason"])[~_valid(table)]
    return listed(
        [f"{text} ({n})" for bit, text in INVALID.items() if (n := np.count_nonzero(bits & bit))]
    )


def camera_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    """Doubts about cameras: level, title, text."""
    yield from _simulation_remarks(material)
    yield from _index_remarks(material)
    for product in material.cameras:
        table, name = product.table, block_name(product)
        n_invalid = int(np.count_nonzero(~_valid(table)))
        if n_invalid:
            yield (
                "warning",
                f"{name}: {n_invalid} of {counted(len(table), 'row')} of coefficients invalid",
                f"{invalid_reasons(table).capitalize()}. Such a row repeats the last valid one; "
                "use no event of its time without looking.",
            )
        mask = np.asarray(table["outlier_mask"], bool)[_valid(table), 0]
        fraction = float(mask.mean(axis=1).max()) if len(mask) else 0.0
        if fraction > material.masked_limit:
            yield (
                "warning",
                f"{name}: {100 * fraction:.1f} % of the pixels masked",
                f"In the worst valid row (limit {100 * material.masked_limit:g} %); the camera map "
                "and the table show which and why.",
            )
        extrapolated = np.asarray(table["extrapolated_channel_mask"], bool).any(axis=(0, 2))
        for channel in np.flatnonzero(extrapolated):
            yield (
                "warning",
                f"{name}: the {CHANNELS[channel]} was not measured",
                "Its coefficients are taken from the other channel, with a pedestal of 0, as for "
                "gain-selected data.",
            )


def _simulation_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    """DL0 of the rule simulated_dl0 lies in a folder of its own."""
    inputs = [
        entry
        for product in material.used.values()
        for entry in product.facts.get("inputs", ())
        if entry["role"] == "dl0/events"
    ]
    if any(entry["path"].startswith("simulation/") for entry in inputs):
        yield (
            "note",
            "Simulated cameras",
            "The calibration events were made by calibpipe-produce-camcalib-test-data; their truth "
            "lies beside them.",
        )


def _index_remarks(material: NightMaterial) -> Iterable[tuple[str, str, str]]:
    index = material.used.get(f"{DL0_INDEX}.ecsv")
    if index is None or index.problem:
        return
    if so_far := index.facts.get("blocks_taken"):
        yield (
            "warning",
            "The night was not over",
            f"{counted(len(so_far), 'observation block')} so far. The run of the morning adds the "
            "others, what needs the whole night, and certification.",
        )
    problems = {str(row["path"]): str(row["problem"]) for row in index.table if row["problem"]}
    if problems:
        first, why = next(iter(problems.items()))
        yield (
            "warning",
            f"{counted(len(problems), 'DL0 file')} cannot be used",
            f"The first is {first}: {why}.",
        )
