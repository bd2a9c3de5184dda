r"""Gains of pixels for variance images: means of rows, shrunk towards what other pixels say.

The gain of a pixel from *N* flat fields has an error of :math:`\sqrt{2/N}`, the gains of a camera
differ by a few per cent. The signal *S* of the flat field is known far better, and a pixel with
more of it has more gain, or more light: the line :math:`\ln g = a + b\,\ln S` through all pixels
says what is to be expected of one, :math:`\tilde g_i`, with a spread *s* about it. What is known
of a pixel is both: with relative error :math:`e_i`

.. math:: \hat g_i = \tilde g_i + w_i (g_i - \tilde g_i),\quad w_i = \frac{s^2}{s^2 + e_i^2},\quad
   \hat e_i = e_i\sqrt{w_i}

is nearest to the truth, its error is smaller than both *e* and *s*.

References
----------
Efron & Morris 1975, J. Am. Stat. Assoc. 70, 311, doi 10.1080/01621459.1975.10479864
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["combined_gains", "mean_gain", "mean_gains", "shrunk_gains"]

MIN_PIXELS = 100  # fewer say little about their spread
ERROR2 = 0.1  # relative, of squares of errors of gains
UNLIKE = 5.0  # standard deviations from what is expected: a gain of its own
LINE = 4.0  # the same, of pixels that do not count for the line
ROUNDS = 4


def mean_gain(gain: NDArray, error: NDArray) -> tuple[NDArray, NDArray]:
    """Mean of rows of gains and its statistical error, shape (n_pixels,).

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
    same = np.add.reduceat(error, first, axis=0)
    return gain.mean(axis=0), np.sqrt(np.sum(same**2, axis=0)) / len(gain)


def mean_gains(gain: NDArray, error: NDArray) -> tuple[NDArray, NDArray]:
    """As `mean_gain` of every channel: (n_rows, n_channels, n_pixels) to (n_channels, n_pixels)."""
    means = [mean_gain(gain[:, channel], error[:, channel]) for channel in range(gain.shape[1])]
    return np.array([mean for mean, _ in means]), np.array([error for _, error in means])


def combined_gains(
    gain: NDArray, error: NDArray, other: NDArray, other_error: NDArray, good: NDArray
) -> tuple[NDArray, NDArray]:
    r"""Weighted means of gains and of those measured at another time, or otherwise.

    The others are on another scale (window, voltage): the median of the ratio. What the ratio
    scatters beyond the errors has changed since; it is an error of the others. An other gain 5
    standard deviations off does not count.

    Parameters
    ----------
    gain, error, other, other_error : ndarray, shape (n_pixels,)
        ADC per photoelectron, absolute errors. Where one is not known, the other counts.
    good : ndarray of bool, shape (n_pixels,)
        Pixels that say what the camera is. Fewer than 100: the others do not count.

    Returns
    -------
    gain, error : ndarray, shape (n_pixels,)
        On the scale of the first.
    """
    own, its = (
        np.isfinite(g) & np.isfinite(e) & (g > 0) & (e > 0)
        for g, e in ((gain, error), (other, other_error))
    )
    both = own & its & good
    if np.count_nonzero(both) < MIN_PIXELS:
        return gain, error
    ratio = gain[both] / other[both]
    scale = np.median(ratio)
    noise = (error[both] / gain[both]) ** 2 + (other_error[both] / other[both]) ** 2
    changed = np.sqrt(_excess(ratio / scale - 1, noise))
    with np.errstate(invalid="ignore", divide="ignore"):
        off = gain / (other * scale) - 1
        spread2 = (error / gain) ** 2 + (other_error / other) ** 2 + changed**2
        its &= ~(own & (off**2 > UNLIKE**2 * spread2))  # another voltage since, or a bad fit
        weight = np.where(own, 1 / error**2, 0.0)
        its_weight = np.where(
            its, 1 / ((other_error * scale) ** 2 + (changed * other * scale) ** 2), 0
        )
        mean = (weight * np.where(own, gain, 0) + its_weight * np.where(its, other * scale, 0)) / (
            weight + its_weight
        )
        mean_error = 1 / np.sqrt(weight + its_weight)
    return np.where(own | its, mean, gain), np.where(own | its, mean_error, error)


def _excess(off: NDArray, noise: NDArray) -> float:
    """Variance of relative deviations beyond their squared errors; not below what is not known."""
    measured = (1.4826 * np.median(np.abs(off - np.median(off)))) ** 2
    typical = np.median(noise)
    least = np.sqrt(2 / off.size) + ERROR2
    return max(measured - typical, least * max(measured, typical))


def shrunk_gains(
    gain: NDArray, error: NDArray, signal: NDArray, good: NDArray
) -> tuple[NDArray, NDArray]:
    r"""Gains nearer to those expected of their signals, by what their errors make of the spread.

    s² is the measured spread about the line less the median error, both squared; never less than
    what is not known of it, :math:`\sqrt{2/n}` and 10 % (errors are known to 5 %) of the larger
    one: equal gains are not known to be equal. Errors are relative to the gain that is expected,
    not to the one that is measured: a gain that fluctuates down would count less, or more. Pixels 5
    standard deviations off keep what was measured. Fewer than 100 pixels are not shrunk.

    # ASSUME: gains are normal about the line (PMTs of one type, voltages of one light yield);
    simulated LST: 5 % of gain and 4 % of light yield are 3.1 % about it.

    Parameters
    ----------
    gain, error : ndarray, shape (n_pixels,)
        ADC per photoelectron, and its statistical error.
    signal : ndarray, shape (n_pixels,)
        Of the flat field; any unit.
    good : ndarray of bool, shape (n_pixels,)
        Pixels that say what the camera is.

    Returns
    -------
    gain, relative error : ndarray, shape (n_pixels,)
        As given where they are not positive and finite.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = error / gain
        known = np.isfinite(gain + relative + signal) & (error > 0) & (gain > 0) & (signal > 0)
    sample = known & good
    if np.count_nonzero(sample) < MIN_PIXELS:
        return gain, relative
    expected = _expected(gain, np.where(known, signal, 1.0), sample)
    off = np.where(known, gain / expected - 1, 0.0)
    relative = np.where(known, error / expected, relative)
    spread = _excess(off[sample], relative[sample] ** 2)
    error2 = np.where(known, relative, 0) ** 2
    shrinks = known & (off**2 < UNLIKE**2 * (spread + error2))
    share = np.where(shrinks, spread / (spread + error2), 1.0)
    shrunk = np.where(shrinks, expected * (1 + share * off), gain)
    with np.errstate(invalid="ignore", divide="ignore"):
        return shrunk, np.where(shrinks, relative * np.sqrt(share), error / gain)


def _expected(gain: NDArray, signal: NDArray, sample: NDArray) -> NDArray:
    """Gains on the line of logarithms of gains and signals; pixels far off do not count."""
    x = np.log(signal / np.median(signal[sample]))
    y = np.log(np.where(sample, gain, 1.0) / np.median(gain[sample]))
    kept, line = sample, np.zeros(x.size)
    for _ in range(ROUNDS):
        slope, level = 0.0, np.mean(y[kept])
        if np.ptp(x[kept]) > 0:
            slope, level = np.polyfit(x[kept], y[kept], 1)
        line = level + slope * x
        spread = 1.4826 * np.median(np.abs((y - line)[sample]))
        kept = sample & (np.abs(y - line) <= LINE * spread)
    return np.median(gain[sample]) * np.exp(line)
