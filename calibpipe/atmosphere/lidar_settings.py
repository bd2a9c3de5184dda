"""What a LIDAR retrieval assumes, and where it looks."""

from dataclasses import dataclass, field

import astropy.units as u

__all__ = ["RetrievalSettings"]


@dataclass(frozen=True)
class RetrievalSettings:
    """What is assumed and where is looked; ranges along the beam.

    Parameters
    ----------
    full_overlap, background : Quantity
        Nearest range used; range from which on nothing is scattered back.
    reference : tuple of Quantity
        Range searched for clear air (Rayleigh fit).
    reference_width : Quantity
        Of its windows, and of clear air below and above a layer.
    layer_search : tuple of Quantity
        Range in which clouds and lofted layers are searched.
    raman_top : Quantity
        Range up to which the Raman signal is strong enough for aerosols.
    lidar_ratio, cloud_lidar_ratio : Quantity
        Where no measurement fixes it.
    lidar_ratio_error : float
        Relative, of both.
    scattering_ratio_error : float
        Aerosols in the reference range: total over molecular backscatter is 1 to 1 + this.
    angstrom_exponent, angstrom_error : float
        Between emitted and Raman wavelength.
    multiple_scattering, multiple_scattering_error : float
        Of layers.
    haze_top, haze : Quantity, tuple of float
        Layers that begin below `haze_top` are measured with the Raman signal, if there is one;
        backscatter of aerosols over that of molecules in the air below a layer, lower and higher
        than this: a systematic error of the elastic signal.
    density_error : float
        Relative error of the molecular density between two ranges.
    calibration, calibration_error : float or None, float
        Constant of the instrument (ratio of signal to molecules with no aerosol), relative error.
    """

    full_overlap: u.Quantity = 300 * u.m
    background: u.Quantity = 27 * u.km
    reference: tuple[u.Quantity, u.Quantity] = field(default=(6 * u.km, 25 * u.km))
    reference_width: u.Quantity = 2 * u.km
    layer_search: tuple[u.Quantity, u.Quantity] = field(default=(1.5 * u.km, 24 * u.km))
    raman_top: u.Quantity = 11.5 * u.km
    lidar_ratio: u.Quantity = 50 * u.sr
    cloud_lidar_ratio: u.Quantity = 25 * u.sr
    lidar_ratio_error: float = 0.4
    scattering_ratio_error: float = 0.02
    angstrom_exponent: float = 1.0
    angstrom_error: float = 0.5
    multiple_scattering: float = 1.0
    multiple_scattering_error: float = 0.05
    haze_top: u.Quantity = 4 * u.km
    haze: tuple[float, float] = (0.06, 0.01)
    density_error: float = 3e-3
    calibration: float | None = None
    calibration_error: float = 0.02
