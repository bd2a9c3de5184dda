"""What calibpipe-verify reads of camera coefficients, and the metrics that they give."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.exceptions import InsufficientStatisticsError
from .calculate_photon_transfer import KIND as TRANSFER
from .calculate_photon_transfer import PIXELS_GROUP, SKY_GROUP
from .fit_single_photoelectron import GROUP as SPE_GROUP
from .fit_single_photoelectron import KIND as SPE
from .night_tool import require

__all__ = ["CAMERA", "DEDICATED_KINDS", "camera_metrics"]

CAMERA = "camera/coefficients"
DEDICATED_KINDS = (TRANSFER, SPE)  # that gains of a night are held against
_GAIN = ("gain", "gain_stat_error", "gain_sys_error")


def camera_metrics(
    path: Path,
    header: Any,
    data: Sequence[Path],
    references: Mapping[str, Path],
    dedicated: Mapping[str, Path],
) -> tuple[dict, dict]:
    """Metrics of camera coefficients with the statistics that they were made from.

    Parameters
    ----------
    dedicated : mapping of str to Path
        Certified photon transfer and single photoelectrons, by kind; those of another camera, or
        with another window, are not compared.
    """
    from ..core.monitoring_file import read_camera_coefficients
    from ..verification.camera import external_metrics, internal_metrics

    require(
        len(data) == 1,
        f"{header.kind} is verified with the statistics it was made from: give --data",
    )
    tel_id = header.own["tel_id"]
    table = read_camera_coefficients(path, tel_id)
    coefficients = _coefficients(table)
    statistics, noise = _statistics(data[0], header)
    external = {
        period: external_metrics(
            coefficients,
            _coefficients(read_camera_coefficients(certified, tel_id)),
            noise,
            statistics.window_width,
        )
        for period, certified in references.items()
    }
    if dedicated:
        night = _night(table, coefficients.usable, statistics, noise)
        external["dedicated"] = _agreement(night, tel_id, dedicated)
    return internal_metrics(coefficients, statistics), external


def _coefficients(table: Any) -> Any:
    """Coefficients of a table as arrays."""
    import numpy as np

    from ..verification.camera import Coefficients

    return Coefficients(
        time=table["time"].unix_tai,
        factor=np.asarray(table["factor"]),
        factor_error=np.asarray(table["factor_stat_error"]),
        pedestal_offset=np.asarray(table["pedestal_offset"]),
        time_shift=np.asarray(table["time_shift"]),
        gain=np.asarray(table["gain"]),
        n_pe=np.asarray(table["n_pe"]),
        masked=np.asarray(table["outlier_mask"], bool),
        is_valid=np.asarray(table["is_valid"], bool),
    )


def _statistics(path: Path, header: Any) -> tuple[Any, Any]:
    """Statistics as arrays, and the noise of the pedestal (n_channels, n_pixels)."""
    import numpy as np

    from ..core.statistics_file import read_pixel_statistics
    from ..verification.camera import CameraStatistics

    names = ("sky_pedestal_image", "flatfield_image", "flatfield_peak_time")
    read = read_pixel_statistics(path, header.own["tel_id"], names)
    missing = [name for name in names if name not in read.tables]
    if missing:
        raise InsufficientStatisticsError(
            f"{path} has no {', '.join(missing)}: {header.kind} cannot be verified"
        )
    pedestal, flat_field, peak_time = (read.tables[name] for name in names)
    noise = np.nanmedian(np.asarray(pedestal["std"], float), axis=0)
    statistics = CameraStatistics(
        baseline=np.zeros_like(noise) if read.baseline is None else read.baseline,
        window_width=read.header["extraction"]["window_width"],
        pedestal_time=_centre(pedestal),
        pedestal=np.asarray(pedestal["mean"], float),
        pedestal_std=np.asarray(pedestal["std"], float),
        flat_field_time=_centre(flat_field),
        flat_field=np.asarray(flat_field["mean"], float),
        peak_time=np.asarray(peak_time["mean"], float),
    )
    return statistics, noise


def _centre(table: Any) -> Any:
    begin, end = (table[f"time_{name}"].unix_tai for name in ("start", "end"))
    return (begin + end) / 2


def _night(table: Any, usable: Any, statistics: Any, noise: Any) -> Any:
    """Gain and pedestal of the observation."""
    import numpy as np

    from ..verification.dedicated_agreement import night_camera

    return night_camera(
        {name: np.asarray(table[name]) for name in (*_GAIN, "pedestal_offset")},
        usable,
        noise,
        window_width=statistics.window_width,
        n_flatfields=len(statistics.flat_field_time),
    )


def _agreement(night: Any, tel_id: int, dedicated: Mapping[str, Path]) -> dict[str, Any]:
    """Metrics against certified calibrations by dedicated runs."""
    from ..core.telescope_file import read_telescope_table, telescope_groups
    from ..verification.dedicated_agreement import spe_agreement, transfer_agreement

    found: dict[str, Any] = {}
    if TRANSFER in dedicated:
        path = dedicated[TRANSFER]
        pixels = read_telescope_table(path, PIXELS_GROUP, tel_id, TRANSFER)
        sky = None
        if SKY_GROUP in telescope_groups(path):
            sky = read_telescope_table(path, SKY_GROUP, tel_id, TRANSFER)
        if _same_window(pixels, night):
            found |= transfer_agreement(night, pixels, sky)
    if SPE in dedicated:
        columns = ("channel", "pixel_id", "outlier_mask", *_GAIN)
        table = read_telescope_table(dedicated[SPE], SPE_GROUP, tel_id, SPE, columns)
        if _same_window(table, night):
            found |= spe_agreement(night, table)
    return found


def _same_window(table: Any, night: Any) -> bool:
    """Whether charges were sums of as many samples, as far as the product says."""
    width = table.meta["calibpipe"].get("extraction", {}).get("window_width")
    return width is None or width == night.window_width
