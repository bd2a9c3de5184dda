r"""Terms of a pointing model of an alt-azimuth mount, as TPOINT names and signs them.

Offsets on the sky are those of the true direction from that of the drive,

.. math:: \delta_\mathrm{lon} = \Delta A\cos E, \qquad \delta_\mathrm{lat} = \Delta E

with azimuth *A* from north to east and elevation *E*. On the sky no term of a mount has a pole at
the zenith; only TX has one, at the horizon.

TPOINT counts azimuth :math:`A' = 180° - A` (0 south, 90 east), and left of the drive positive
(:math:`\Delta A' = -\Delta A`). Harmonics are defined there; here they are turned round.

References
----------
Wallace, P. T. 2002, Proc. SPIE 4848, 125. doi 10.1117/12.460914

Wallace, P. T. 2011, TPOINT, a telescope pointing analysis system, version 18.20, chapter on terms.

Software Bisque, TheSky user guide, appendix L (conventions of signs).
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.exceptions import ConfigurationError

__all__ = ["GEOMETRIC_TERMS", "check_terms", "design_matrix", "scaled_condition"]

GEOMETRIC_TERMS = ("IA", "IE", "CA", "NPAE", "AN", "AW")  # of every alt-azimuth mount
_HARMONIC = re.compile(r"H([ASEZV])([SC])([AEZ])([1-9]?)(?:([SC])([AEZ])([1-9]?))?")
_DEGENERATE = 1e6  # condition number over the whole sky
_SHARE = 0.1  # of a term in what cannot be told apart


def design_matrix(terms: Sequence[str], azimuth: ArrayLike, altitude: ArrayLike) -> NDArray:
    """Offsets on the sky for one arcsec (or any unit) of each term.

    Parameters
    ----------
    terms : sequence of str
        Names: IA, IE (indices), CA (collimation), NPAE (axes not perpendicular), AN, AW (azimuth
        axis tilted north, west), TF, TX (flexure with cosine and cotangent of the elevation), ECES,
        ECEC, ACES, ACEC (centring of the encoders), or a harmonic ``H<result><function>`` with
        one or two functions ``<S|C><A|E|Z><1 to 9>``: HASA2, HESE, HSCA2SE. Results: A azimuth, S
        azimuth on the sky, E elevation, Z zenith distance, V axes not perpendicular.
    azimuth, altitude : array_like, shape (n,)
        Of the drive, in deg; azimuth from north to east.

    Returns
    -------
    ndarray, shape (n, 2, n_terms)
        Second axis: dlon, dlat.

    Raises
    ------
    ConfigurationError
        If a term is not known.

    References
    ----------
    As of the module.
    """
    A, E = np.radians(np.atleast_1d(azimuth)), np.radians(np.atleast_1d(altitude))
    columns = [np.broadcast_arrays(*_offsets(term, A, E), A)[:2] for term in terms]
    if not columns:
        return np.zeros((len(A), 2, 0))
    return np.moveaxis(np.array(columns, float), (0, 1, 2), (2, 1, 0))


_OFFSETS: dict[str, Callable[[NDArray, NDArray], tuple[NDArray | float, NDArray | float]]] = {
    "IA": lambda A, E: (-np.cos(E), 0.0),
    "IE": lambda A, E: (0.0, 1.0),
    "CA": lambda A, E: (-1.0, 0.0),
    "NPAE": lambda A, E: (-np.sin(E), 0.0),
    "AN": lambda A, E: (-np.sin(A) * np.sin(E), -np.cos(A)),  # the azimuth axis leans north
    "AW": lambda A, E: (-np.cos(A) * np.sin(E), np.sin(A)),  # the azimuth axis leans west
    "TF": lambda A, E: (0.0, -np.cos(E)),  # the tube bends down
    "TX": lambda A, E: (0.0, -1 / np.tan(E)),
    "ECES": lambda A, E: (0.0, np.sin(E)),
    "ECEC": lambda A, E: (0.0, np.cos(E)),
    "ACES": lambda A, E: (-np.sin(A) * np.cos(E), 0.0),
    "ACEC": lambda A, E: (np.cos(A) * np.cos(E), 0.0),
}


def _offsets(term: str, A: NDArray, E: NDArray) -> tuple[NDArray | float, NDArray | float]:
    """Offsets in azimuth on the sky and in elevation, of one term."""
    return _OFFSETS[term](A, E) if term in _OFFSETS else _harmonic(term, A, E)


def _harmonic(term: str, A: NDArray, E: NDArray) -> tuple[NDArray | float, NDArray | float]:
    found = _HARMONIC.fullmatch(term)
    if found is None:
        raise ConfigurationError(
            f"{term!r} is no term of a pointing model; there are {', '.join(_OFFSETS)}, and "
            "harmonics such as HASA2, HESE, HSCA2, HVCA, HECA2SE"
        )
    result, *functions = found.groups()
    of = {"A": np.pi - A, "E": E, "Z": np.pi / 2 - E}
    value = np.ones_like(A)
    for name, coordinate, frequency in (functions[:3], functions[3:]):
        if name:
            wave = np.sin if name == "S" else np.cos
            value = value * wave(int(frequency or 1) * of[coordinate])
    # ASSUME: result V is NPAE that varies, as P is NP of an equatorial mount
    lon = {"A": -np.cos(E), "S": -1.0, "V": -np.sin(E)}.get(result, 0.0)
    return lon * value, {"E": 1.0, "Z": -1.0}.get(result, 0.0) * value


def scaled_condition(design: ArrayLike, inverse_root: ArrayLike | None = None) -> float:
    """Condition number of a design matrix whose columns are scaled to length one.

    Parameters
    ----------
    design : array_like, shape (n, 2, n_terms)
    inverse_root : array_like, shape (n, 2, 2), optional
        What makes the measurements independent with error one.

    Returns
    -------
    float
        1 of terms that are independent; infinite of terms that cannot be told apart.
    """
    design = np.asarray(design, float)
    if inverse_root is not None:
        design = np.asarray(inverse_root) @ design
    singular = np.linalg.svd(_scaled(np.asarray(design)), compute_uv=False)
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")


def _scaled(design: NDArray) -> NDArray:
    flat = design.reshape(-1, design.shape[-1])
    length = np.linalg.norm(flat, axis=0)
    return flat / np.where(length > 0, length, 1.0)


def check_terms(terms: Sequence[str]) -> None:
    """Refuse terms that no measurement could tell apart.

    Raises
    ------
    ConfigurationError
        If there are none, one is not known or occurs twice, or some describe the same: TF and
        ECEC, or ACES and HASA.
    """
    if not terms:
        raise ConfigurationError("a pointing model needs terms: give IA, IE, CA, NPAE, AN, AW, TF")
    twice = sorted({term for term in terms if list(terms).count(term) > 1})
    if twice:
        raise ConfigurationError(f"term {', '.join(twice)} is given twice: name each once")
    azimuth, altitude = np.meshgrid(np.arange(0, 360, 15.0), np.arange(7, 88, 5.0))
    design = design_matrix(terms, azimuth.ravel(), altitude.ravel())
    _, singular, directions = np.linalg.svd(_scaled(design), full_matrices=False)
    if singular[-1] * _DEGENERATE < singular[0]:
        same = [t for t, x in zip(terms, directions[-1], strict=True) if abs(x) > _SHARE]
        raise ConfigurationError(
            f"terms {', '.join(same)} cannot be told apart anywhere on the sky: leave one out"
        )
