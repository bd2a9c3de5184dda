"""Pairs of telescopes, and which events a pair may be compared with."""

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError
from .dl2_layout import ArrayLayout

__all__ = [
    "TelescopePairs",
    "criteria_columns",
    "distance_asymmetry",
    "equidistance_limit",
    "pair_weights",
    "telescope_pairs",
    "threshold_bias",
]


@dataclass(frozen=True)
class TelescopePairs:
    """Pairs to compare; the first telescope of a pair has the smaller number.

    Attributes
    ----------
    first, second : ndarray, shape (n_pairs,), int
        Places in the layout.
    number : ndarray, shape (n_tel, n_tel), int32
        Number of the pair of two places, in both orders; -1 for none.
    """

    first: NDArray
    second: NDArray
    number: NDArray

    def __len__(self) -> int:
        return len(self.first)


def telescope_pairs(
    layout: ArrayLayout,
    max_impact_in_m: Mapping[str, float],
    *,
    same_type: bool = False,
    left_out: Collection[int] = (),
) -> TelescopePairs:
    """Pairs whose distance is not more than the sum of their largest impact distances.

    Light of one shower reaches both within these only then.

    Parameters
    ----------
    layout : ArrayLayout
    max_impact_in_m : mapping of str to float
        By size of the telescope: ``LST``, ``MST``, ``SST``; for all types that have pairs.
    same_type : bool
        Only pairs of telescopes of one type.
    left_out : collection of int
        Telescopes that are not compared.

    Raises
    ------
    ConfigurationError
        If no distance is given for a type, a telescope to be left out is not there, or there are
        no pairs.
    """
    missing = sorted({t for t in layout.tel_types if t.split("_")[0] not in max_impact_in_m})
    if missing:
        raise ConfigurationError(
            f"no largest impact distance is given for {', '.join(missing)}; add it to "
            "`max_impact_in_m`"
        )
    reach = np.array([max_impact_in_m[kind.split("_")[0]] for kind in layout.tel_types])
    n_tel = len(layout.tel_ids)
    first, second = np.triu_indices(n_tel, 1)
    apart = np.linalg.norm(layout.positions[first] - layout.positions[second], axis=1)
    kept = apart <= reach[first] + reach[second]
    if same_type:
        kept &= layout.tel_types[first] == layout.tel_types[second]
    absent = [layout.index(tel_id) for tel_id in left_out]
    kept &= ~(np.isin(first, absent) | np.isin(second, absent))
    first, second = first[kept], second[kept]
    if not len(first):
        what = "of one type " if same_type else ""
        raise ConfigurationError(
            f"no two telescopes {what}of {', '.join(map(str, layout.tel_ids))} can be compared "
            f"(left out: {', '.join(map(str, left_out)) or 'none'}); calibration against each "
            "other needs two that are near enough"
        )
    number = np.full((n_tel, n_tel), -1, np.int32)
    number[first, second] = number[second, first] = np.arange(len(first))
    return TelescopePairs(first, second, number)


def distance_asymmetry(first: ArrayLike, second: ArrayLike) -> NDArray:
    r"""Of impact distances, :math:`|d_1 - d_2|/(d_1 + d_2)`; NaN where one is, or both are 0."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    with np.errstate(invalid="ignore"):
        return np.abs(first - second) / (first + second)


def equidistance_limit(constant: float, slope: float, zenith_in_rad: ArrayLike) -> NDArray:
    """Largest `distance_asymmetry`: A + B cos(90 deg - zenith).

    Looser far from the zenith, where the light pool is larger. B = 0 is the constant form.

    References
    ----------
    Mitchell, A. M. W. 2016, thesis, Heidelberg, section 4.2. doi 10.11588/heidok.00021768
    """
    return constant + slope * np.sin(np.asarray(zenith_in_rad, float))


def pair_weights(variance: ArrayLike, pairs: TelescopePairs) -> NDArray:
    r"""Weight of the first telescope in the symmetric quantity that thresholds apply to.

    .. math:: \ln s = w \ln x_1 + (1-w) \ln x_2, \quad w = \sigma_2^2 / (\sigma_1^2 + \sigma_2^2)

    Equal resolutions: the geometric mean. With these weights :math:`\ln s` is uncorrelated to
    :math:`\ln x_1/x_2`, and a threshold selects no sign of it (`threshold_bias`).

    Parameters
    ----------
    variance : array_like, shape (n_tel,)
        Of ln x of each telescope.
    pairs : TelescopePairs

    Returns
    -------
    ndarray, shape (n_pairs,)
    """
    variance = np.asarray(variance, float)
    one, two = variance[pairs.first], variance[pairs.second]
    return two / (one + two)


def threshold_bias(
    slope: float, variance_1: ArrayLike, variance_2: ArrayLike, weight: ArrayLike = 0.5
) -> NDArray:
    r"""Bias of the mean of ln x1/x2 at a fixed :math:`\ln s = w \ln x_1 + (1-w) \ln x_2`.

    .. math:: b = a\,(w\sigma_1^2 - (1-w)\sigma_2^2)

    for a power law :math:`dN/d\ln x \propto x^{-a}` and normal resolutions of ln x. The true x
    given s is tilted by :math:`e^{a(w\epsilon_1 + (1-w)\epsilon_2)}`, which shifts each
    :math:`\epsilon`. It does not depend on s: it is that of any threshold and of any window.

    Parameters
    ----------
    slope : float
        *a*, the spectral index less 1.
    variance_1, variance_2, weight : array_like

    Returns
    -------
    ndarray
    """
    one, two, weight = (np.asarray(v, float) for v in (variance_1, variance_2, weight))
    return slope * (weight * one - (1 - weight) * two)


def criteria_columns(
    criteria: Sequence[tuple[str, str]], compared: str, available: Collection[str] = ()
) -> list[str]:
    """Columns that criteria in the syntax of ctapipe's ``QualityQuery`` need.

    Parameters
    ----------
    criteria : sequence of (str, str)
        Name and expression.
    compared : str
        Column that telescopes are compared by. It must be in none of the criteria: a threshold on
        it biases the ratio (by 1 % at 20 % resolution), one on both telescopes does, too.
    available : collection of str
        Names that are no columns.

    Raises
    ------
    ConfigurationError
        If an expression cannot be parsed or contains `compared`.
    """
    columns: dict[str, None] = {}
    for name, expression in criteria:
        try:
            tree = ast.parse(expression, mode="eval")
        except SyntaxError as error:
            raise ConfigurationError(
                f"criterion {name!r} is no expression: {expression!r} ({error.msg})"
            ) from error
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if compared in names:
            raise ConfigurationError(
                f"criterion {name!r} is on {compared}, which the telescopes are compared by: that "
                "biases their ratio; use the threshold on the mean of the pair (`minimum`)"
            )
        columns |= dict.fromkeys(sorted(names - set(available)))
    return list(columns)
