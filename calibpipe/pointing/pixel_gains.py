r"""Gains of pixels for variance images: means of rows, shrunk towards the mean of the camera.

The gain of a pixel from *N* flat fields has an error of :math:`\sqrt{2/N}`, the gains of a camera
differ by a few per cent. What is known of a pixel is both: with relative error :math:`e_i` and true
spread *s* of the camera

.. math:: \hat g_i = \bar g + w_i (g_i - \bar g),\quad w_i = \frac{s^2}{s^2 + e_i^2},\quad
   \hat e_i = e_i\sqrt{w_i}

is nearest to the truth, its error is smaller than both *e* and *s*.

References
----------
Efron & Morris 1975, J. Am. Stat. Assoc. 70, 311, doi 10.1080/01621459.1975.10479864
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_gain_error", "shrunk_gains"]

MIN_PIXELS = 100  # fewer say little about their spread
ERROR2 = 0.1  # relative, of squares of errors of gains
UNLIKE = 5.0  # standard deviations from the mean: a gain of its own


def mean_gain_error(gain: NDArray, error: NDArray) -> NDArray:
    """Relative statistical error of the mean of rows of gains, shape (n_pixels,).

    A row begins where pedestals or flat fields do: rows in succession may follow from the same
    flat fields, and have the same error. They do if half of the pixels differ by less than those
    of rows with a correlation of 0.5 (median of χ² of one number: 0.455).

    Parameters
    ----------
    gain, error : ndarray, shape (n_rows, n_pixels)
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.diff(gain, axis=0) ** 2 / (error[1:] ** 2 + error[:-1] ** 2)
        differ = np.nanmedian(squares, axis=1) > 0.5 * 0.455
        first = np.append(0, np.flatnonzero(differ) + 1)
        same = np.add.reduceat(error / gain, first, axis=0)
    return np.sqrt(np.sum(same**2, axis=0)) / len(gain)


def shrunk_gains(gain: NDArray, error: NDArray, good: NDArray) -> tuple[NDArray, NDArray]:
    r"""Gains nearer to the mean of the camera by what their errors make of the spread.

    s² is the measured spread less the median error, both squared; never less than what is not
    known of it, :math:`\sqrt{2/n}` and 10 % (errors are known to 5 %) of the larger one: equal
    gains are not known to be equal. Pixels 5 standard deviations off keep what was
    measured. Fewer than 100 pixels are not shrunk.

    # ASSUME: gains are normal around their mean (PMTs of one type, voltages of one light yield);
    # simulated LST: 5 %.

    Parameters
    ----------
    gain, error : ndarray, shape (n_pixels,)
        ADC per photoelectron; relative statistical error.
    good : ndarray of bool, shape (n_pixels,)
        Pixels that say what the camera is.

    Returns
    -------
    gain, error : ndarray, shape (n_pixels,)
        As given where they are not positive and finite.
    """
    known = np.isfinite(gain) & np.isfinite(error) & (error > 0) & (gain > 0)
    n = np.count_nonzero(known & good)
    if n < MIN_PIXELS:
        return gain, error
    sample = known & good
    mean = np.median(gain[sample])
    off = np.where(known, gain / mean - 1, 0.0)
    measured = (1.4826 * np.median(np.abs(off[sample]))) ** 2
    noise = np.median(error[sample]) ** 2
    spread = max(measured - noise, (np.sqrt(2 / n) + ERROR2) * max(measured, noise))
    shrinks = known & (off**2 < UNLIKE**2 * (spread + error**2))
    share = np.where(shrinks, spread / (spread + np.where(known, error, 0) ** 2), 1.0)
    shrunk = np.where(shrinks, mean * (1 + share * off), gain)
    return shrunk, error * np.sqrt(share)
