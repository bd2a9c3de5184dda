"""Gain, resolution and excess noise of every pixel from spectra of few photoelectrons.

Spectra of nominal voltage give the gain. They do not determine the shape of the charge of one
photoelectron, whose low charges are below the pedestal's width: it is either given, or of a run of
the same pixels at high voltage, fitted together.

# ASSUME: high voltage stretches the charge of a photoelectron and leaves its shape (science.md C4,
practice of NectarCAM).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.exceptions import ConfigurationError
from .spe_fit import FitResult
from .spe_parameters import PhotoelectronModel, fixed_shape, free_shape, silicon
from .spe_problem import SpeProblem, spe_problem
from .spe_spectra import SeenSpectra, Spectra, SpeSettings, seen_spectra
from .spe_start import ModelIndependent, model_independent
from .spe_status import FATAL, SpeStatus

__all__ = ["SpeResult", "single_photoelectrons"]


@dataclass(frozen=True)
class SpeResult:
    """Single photoelectron of pixels; NaN where the status says why.

    Parameters
    ----------
    names : tuple of str
        Of `value`: ``light``, ``pedestal``, ``pedestal_width``, then what is reported of the
        photoelectron (``gain``, ``resolution``, ``squared_excess_noise_factor``, ...), then
        ``high_light``, ``high_pedestal``, ``high_pedestal_width``, ``high_gain`` of a run at high
        voltage.
    value, stat_error, sys_error : ndarray, shape (n_names, n_pixels)
        Systematic: of a shape that is given, as far as `p_raw` and `n` are uncertain.
    status : ndarray, shape (n_pixels,)
        Bits of `SpeStatus`.
    chi2, n_dof, p_value, deviance, n_iterations : ndarray, shape (n_pixels,)
    model_independent : ModelIndependent
        Light is corrected for photoelectrons below the cut.
    leakage : ndarray, shape (n_pixels,)
        Of them, over the events of the pedestal there.
    """

    names: tuple[str, ...]
    value: NDArray
    stat_error: NDArray
    sys_error: NDArray
    status: NDArray
    chi2: NDArray
    n_dof: NDArray
    p_value: NDArray
    deviance: NDArray
    n_iterations: NDArray
    model_independent: ModelIndependent
    leakage: NDArray

    def __getitem__(self, name: str) -> NDArray:
        return self.value[self.names.index(name)]

    def error(self, name: str) -> NDArray:
        """Statistical error."""
        return self.stat_error[self.names.index(name)]


def single_photoelectrons(
    nominal: Spectra, high_voltage: Spectra | None = None, settings: SpeSettings | None = None
) -> SpeResult:
    """Fit the spectra of all pixels.

    Parameters
    ----------
    nominal : Spectra
        At nominal voltage.
    high_voltage : Spectra, optional
        Of the same pixels at high voltage; where it cannot be used a pixel is fitted without.
    settings : SpeSettings, optional

    Raises
    ------
    ConfigurationError
        If the sensor is unknown, the runs have different pixels, or a run at high voltage is given
        for a SiPM, whose cross-talk and after-pulses change with the voltage.
    """
    settings = settings or SpeSettings()
    model = _model(settings, with_shape=high_voltage is None)
    n_pixels = len(nominal.charge.counts)
    seen = seen_spectra(nominal, settings)
    if high_voltage is None:
        found = _Found.empty(model, n_pixels, seen)
        found.fit(nominal, None, seen, model, np.flatnonzero(seen.status == 0), settings)
        return found.result(nominal)
    if settings.sensor == "sipm" or len(high_voltage.charge.counts) != n_pixels:
        raise ConfigurationError(
            f"a run at high voltage with {len(high_voltage.charge.counts)} spectra cannot be "
            f"fitted with {n_pixels} of a {settings.sensor}: needs the same pixels, of "
            "photomultipliers; leave it out"
        )
    high = seen_spectra(high_voltage, settings)
    found = _Found.empty(model, n_pixels, seen, high=True)
    usable = seen.status == 0
    alone = np.flatnonzero(usable & (high.status != 0))
    together = np.flatnonzero(usable & (high.status == 0))
    found.fit(nominal, (high_voltage, high), seen, model, together, settings)
    found.status[alone] |= SpeStatus.WITHOUT_HIGH_VOLTAGE
    found.fit(nominal, None, seen, _model(settings, with_shape=True), alone, settings)
    return found.result(nominal)


def _model(settings: SpeSettings, with_shape: bool) -> PhotoelectronModel:
    if settings.sensor == "sipm":
        return silicon(settings.recovery_ratio)
    if settings.sensor != "photomultiplier":
        raise ConfigurationError(f"sensor is {settings.sensor!r}; give 'photomultiplier' or 'sipm'")
    return (fixed_shape if with_shape else free_shape)(settings.p_raw, settings.n)


@dataclass
class _Found:
    """Results of pixels that are fitted in several groups."""

    names: tuple[str, ...]
    seen: SeenSpectra
    value: NDArray
    stat_error: NDArray
    sys_error: NDArray
    status: NDArray
    numbers: dict[str, NDArray]
    leakage: NDArray

    @classmethod
    def empty(
        cls, model: PhotoelectronModel, n_pixels: int, seen: SeenSpectra, high: bool = False
    ) -> "_Found":
        names = ("light", "pedestal", "pedestal_width", *model.fact_names)
        if high:
            names += ("high_light", "high_pedestal", "high_pedestal_width", "high_gain")
        value, stat, sys = np.full((3, len(names), n_pixels), np.nan)
        numbers = {name: np.full(n_pixels, np.nan) for name in ("chi2", "p_value", "deviance")}
        numbers |= {name: np.zeros(n_pixels, int) for name in ("n_dof", "n_iterations")}
        unknown = np.full(n_pixels, np.nan)
        return cls(names, seen, value, stat, sys, seen.status.copy(), numbers, unknown)

    def fit(
        self,
        nominal: Spectra,
        high: tuple[Spectra, SeenSpectra] | None,
        seen: SeenSpectra,
        model: PhotoelectronModel,
        pixels: NDArray,
        settings: SpeSettings,
    ) -> None:
        """Fit some pixels and keep what comes out."""
        if not pixels.size:
            return
        runs = [(nominal.of(pixels), seen)]
        if high is not None:
            runs.append((high[0].of(pixels), high[1]))
        problem = spe_problem(runs, pixels, model, settings)
        fit = problem.best(settings.fit)
        facts, errors = problem.reported(fit)
        self.value[: len(facts), pixels] = facts
        self.stat_error[: len(facts), pixels] = errors
        self.sys_error[: len(facts), pixels] = _shape_error(problem, fit, facts, settings)
        for name, values in self.numbers.items():
            values[pixels] = getattr(fit, name)
        status = np.zeros(pixels.size, np.int32)
        status[~fit.converged] |= SpeStatus.NOT_CONVERGED
        status[fit.at_bound.any(axis=1)] |= SpeStatus.AT_BOUND
        gain, width = (facts[self.names.index(n)] for n in ("gain", "pedestal_width"))
        status[gain < settings.min_separation * width] |= SpeStatus.UNRESOLVED
        status[fit.p_value < settings.min_p_value] |= SpeStatus.POOR_FIT
        self.status[pixels] |= status
        cut = self.free_of_model(nominal).cut[pixels]
        self.leakage[pixels] = problem.leakage(fit, cut)

    def free_of_model(self, nominal: Spectra) -> ModelIndependent:
        """Estimate without a model; without a spectrum of the pedestal, that of the fit is used."""
        if nominal.dark is not None:
            return self.seen.free
        pedestal, width = (self.value[self.names.index(n)] for n in ("pedestal", "pedestal_width"))
        return model_independent(nominal.charge, pedestal, width)

    def result(self, nominal: Spectra) -> SpeResult:
        """All that was found; NaN where the status is fatal."""
        fatal = (self.status & FATAL) != 0
        for values in (self.value, self.stat_error, self.sys_error):
            values[:, fatal] = np.nan
        free = self.free_of_model(nominal)
        with np.errstate(invalid="ignore", divide="ignore"):
            light = free.light + np.log1p(self.leakage)
            smaller = free.light / light
        corrected = replace(
            free,
            light=light,
            gain=free.gain * smaller,
            gain_error=free.gain_error * smaller,
            resolution=np.where(fatal, np.nan, free.resolution),
        )
        return SpeResult(
            names=self.names,
            value=self.value,
            stat_error=self.stat_error,
            sys_error=self.sys_error,
            status=self.status,
            **self.numbers,
            model_independent=corrected,
            leakage=self.leakage,
        )


def _shape_error(
    problem: SpeProblem, fit: FitResult, facts: NDArray, settings: SpeSettings
) -> NDArray:
    """Change of the numbers with the uncertainty of a shape that was given; 0 of a free one."""
    if problem.model.names != ("mu", "resolution"):
        return np.zeros_like(facts)
    moved = [
        fixed_shape(settings.p_raw + settings.p_raw_error, settings.n),
        fixed_shape(settings.p_raw, settings.n + settings.n_error),
    ]
    changes = [problem.refitted(model, fit.value, settings.fit) - facts for model in moved]
    return np.hypot(*changes)
