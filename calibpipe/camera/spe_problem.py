"""One fit of spectra of one or two runs: parameters, starts, bounds, and what is reported."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .spe_fit import FitResult, FitSettings, fitted_spectra
from .spe_likelihood import DARK, Spectrum, bin_probabilities
from .spe_parameters import PhotoelectronModel
from .spe_spectra import SeenSpectra, Spectra, SpeSettings

__all__ = ["SpeProblem", "spe_problem"]

_OF_RUN = 4  # light, pedestal, its width, charge: own to each run
_LIGHT = (1e-3, 8.0)  # bounds
_STARTS = ((0.9, 1.3), (1.15, 0.75), (0.75, 1.1))  # of charge and shape, after the first
_BATCH = 64  # pixels
_SAME = 1e-4  # of deviances: the first start counts


@dataclass(frozen=True)
class SpeProblem:
    """A fit of some pixels: spectra, start, bounds."""

    model: PhotoelectronModel
    spectra: list[Spectrum]
    start: NDArray
    second_start: NDArray | None
    bounds: tuple[NDArray, NDArray]
    n_runs: int

    @property
    def n_own(self) -> int:
        """Parameters of the first run."""
        return 3 + len(self.model.names)

    def best(self, settings: FitSettings) -> FitResult:
        """Fit from all starts; pixels that do not converge are tried from others."""
        found = self._fitted(self.start, self.spectra, self.bounds, settings)
        if self.second_start is not None:
            other = self._fitted(self.second_start, self.spectra, self.bounds, settings)
            deeper = other.deviance < found.deviance - _SAME
            _take(found, other, other.converged & (deeper | ~found.converged))
        for gain, resolution in _STARTS:
            again = np.flatnonzero(~found.converged)
            if not again.size:
                break
            start = self.start[again].copy()
            start[:, 3] *= gain
            start[:, 4] = start[:, 4] * resolution
            if self.n_runs > 1:
                start[:, self.n_own + 3] *= gain
            box = (self.bounds[0][again], self.bounds[1][again])
            new = self._fitted(start, [s.of(again) for s in self.spectra], box, settings)
            _take(found, new, new.converged, again)
        return found

    def _fitted(
        self,
        start: NDArray,
        spectra: list[Spectrum],
        bounds: tuple[NDArray, NDArray],
        settings: FitSettings,
    ) -> FitResult:
        return fitted_spectra(start, bounds, spectra, self.model.function, settings)

    def refitted(self, model: PhotoelectronModel, start: NDArray, settings: FitSettings) -> NDArray:
        """Reported numbers with another model."""
        other = replace(self, model=model)
        fit = fitted_spectra(start, self.bounds, self.spectra, model.function, settings)
        return other.reported(fit)[0]

    def reported(self, fit: FitResult) -> tuple[NDArray, NDArray]:
        """Numbers and statistical errors in the order of the names."""
        own = slice(3, self.n_own)
        facts, errors = self.model.reported(fit.value[:, own], fit.covariance[:, own, own])
        value, error = [*fit.value[:, :3].T, *facts], [*fit.error[:, :3].T, *errors]
        if self.n_runs > 1:
            at = [self.n_own + 3, *range(4, self.n_own)]
            of_high = np.ix_(range(len(fit.value)), at, at)
            facts, errors = self.model.reported(fit.value[:, at], fit.covariance[of_high])
            value += [*fit.value[:, self.n_own : self.n_own + 3].T, facts[0]]
            error += [*fit.error[:, self.n_own : self.n_own + 3].T, errors[0]]
        return np.stack(value), np.stack(error)

    def leakage(self, fit: FitResult, cut: NDArray) -> NDArray:
        """Events with photoelectrons over those without, of the first run, below a bin."""
        first = self.spectra[0]
        n_bins = first.counts.shape[1]
        leakage = np.empty(len(cut))
        below = np.arange(n_bins) < cut[:, np.newaxis]
        for begin in range(0, len(cut), _BATCH):
            some = slice(begin, begin + _BATCH)
            lit = fit.value[some, : self.n_own]
            dark = lit * (np.arange(self.n_own) > 0)
            edges = first.low_edge[some], first.bin_width[some]
            lower = [
                np.sum(
                    bin_probabilities(p, *edges, n_bins, self.model.function)[0] * below[some], 1
                )
                for p in (lit, dark)
            ]
            leakage[some] = lower[0] / (lower[1] * np.exp(-lit[:, 0])) - 1
        return leakage


def spe_problem(
    runs: list[tuple[Spectra, SeenSpectra]],
    pixels: NDArray,
    model: PhotoelectronModel,
    settings: SpeSettings,
) -> SpeProblem:
    """Parameters of one or two runs: those of the second are light, pedestal, width, charge."""
    spectra: list[Spectrum] = []
    starts, lowers, uppers = [], [], []
    shape = tuple(range(_OF_RUN, 3 + len(model.names)))
    for k, (run, seen) in enumerate(runs):
        first = k * (3 + len(model.names))
        index = (first, first + 1, first + 2, first + 3, *shape)
        spectra += _spectra(run, index, settings.dark_in_fit)
        pedestal, width = seen.pedestal[pixels], seen.pedestal_width[pixels]
        free = seen.free
        own = model.start(free.gain[pixels], np.nan_to_num(free.resolution[pixels], nan=0.5))
        scale = np.ones_like(own)
        scale[:, 0] = own[:, 0]
        n = _OF_RUN if k else 3 + len(model.names)
        light = np.clip(free.light[pixels], 0.01, 0.9 * _LIGHT[1])
        ones = np.ones_like(light)
        narrow = 0.35 * run.charge.bin_width
        starts.append(np.column_stack([light, pedestal, width, own])[:, :n])
        lowers.append(
            np.column_stack(
                [
                    _LIGHT[0] * ones,
                    pedestal - 3 * width,
                    np.maximum(0.4 * width, narrow),
                    np.array(model.lower) * scale,
                ]
            )[:, :n]
        )
        uppers.append(
            np.column_stack(
                [
                    _LIGHT[1] * ones,
                    pedestal + 3 * width,
                    np.maximum(2.5 * width, 2 * narrow),
                    np.array(model.upper) * scale,
                ]
            )[:, :n]
        )
    start = np.hstack(starts)
    second = None
    if model.second_start is not None:
        second = start.copy()
        for k, (_, seen) in enumerate(runs):
            resolution = np.nan_to_num(seen.free.resolution[pixels], nan=0.5)
            own = model.second_start(seen.free.gain[pixels], resolution)
            first = 3 + k * (3 + len(model.names))
            n = 1 if k else len(model.names)
            second[:, first : first + n] = own[:, :n]
    return SpeProblem(
        model, spectra, start, second, (np.hstack(lowers), np.hstack(uppers)), len(runs)
    )


def _take(
    found: FitResult, other: FitResult, better: NDArray, pixels: NDArray | None = None
) -> None:
    """Put the better pixels of another fit into a result."""
    into = better if pixels is None else pixels[better]
    for name in FitResult.__dataclass_fields__:
        getattr(found, name)[into] = getattr(other, name)[better]


def _spectra(run: Spectra, index: tuple[int, ...], with_dark: bool) -> list[Spectrum]:
    charge = run.charge
    found = [Spectrum(charge.counts, charge.low_edge, charge.bin_width, index)]
    if with_dark and run.dark is not None:
        dark = run.dark
        found.append(Spectrum(dark.counts, dark.low_edge, dark.bin_width, (DARK, *index[1:])))
    return found
