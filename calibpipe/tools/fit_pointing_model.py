"""Pointing model of one telescope from star tracking of many nights."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "pointing/pointing_model"
TRACKING = "pointing/star_tracking"
TERMS_GROUP = "/calibpipe/pointing/model_terms"
RESIDUALS_GROUP = "/calibpipe/pointing/model_residuals"
NIGHTS_GROUP = "/calibpipe/pointing/model_nights"
UNLIKELY = 1e-3  # chance below which the product has a remark


class FitPointingModel(NightTool):
    """Fit the terms of a telescope's mount (as of TPOINT) to offsets of stars of many nights.

    Full covariances of the offsets, scatter that the terms do not describe, outliers left out,
    terms that the measurements do not determine fixed at what is known of them.
    """

    name = "calibpipe-fit-pointing-model"
    description = __doc__
    examples = """
    calibpipe-fit-pointing-model --site config/sites/CTAO-North.yaml --night 2024-07-12 \\
        --input 2024-07-10/LSTN-01/pointing/star_tracking.h5 \\
        --input 2024-07-12/LSTN-01/pointing/star_tracking.h5 \\
        --output 2024-07-12/LSTN-01/pointing/pointing_model.h5
    """

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Star tracking of this telescope, of this night and nights before",
    ).tag(config=True)
    archive = traits.Path(
        None,
        allow_none=True,
        exists=None,
        file_ok=False,
        help="Calibration archive: what is certified of --telescope, instead of --input",
    ).tag(config=True)
    telescope = traits.Unicode("", help="Array element, such as LSTN-01").tag(config=True)
    n_nights = traits.Int(
        30, min=1, max=366, help="Nights of the calendar, this one the last, from the archive"
    ).tag(config=True)
    terms = traits.List(
        traits.Unicode(),
        ["IA", "IE", "CA", "NPAE", "AN", "AW", "TF"],
        help="In the order of their importance: of terms that cannot be told apart the last is "
        "fixed",
    ).tag(config=True)
    candidates = traits.List(
        traits.Unicode(),
        [],
        help="Further terms, each taken if it lowers BIC by more than `min_bic_gain`",
    ).tag(config=True)
    min_bic_gain = traits.Float(6.0, min=0.0, help="6 is strong support").tag(config=True)
    priors_in_arcsec = traits.Dict(
        help="Value and error of terms that are known beforehand, {CA: [0, 20]}"
    ).tag(config=True)
    prior_error_in_arcsec = traits.Float(
        60.0, min=1e-3, help="Of all other terms, about 0; a term with a larger error is fixed"
    ).tag(config=True)
    free_nights = traits.Bool(
        False, help="Own IA and IE for each night; the model has their means"
    ).tag(config=True)
    scatter = traits.Bool(True, help="Find the scatter beyond the errors of the offsets").tag(
        config=True
    )
    outlier_sigma = traits.Float(
        5.0, min=2.0, help="Measurements farther off are left out; inf: none"
    ).tag(config=True)
    min_measurements = traits.Int(20, min=4, help="Fewer are refused").tag(config=True)
    min_altitude_in_deg = traits.Float(5.0, help="Of measurements").tag(config=True)
    max_altitude_in_deg = traits.Float(89.0, help="Of measurements").tag(config=True)
    max_offset_in_deg = traits.Float(
        0.5, min=0.0, help="Farther off is no flexure: the measurement is left out"
    ).tag(config=True)
    validity_in_days = traits.Float(
        30.0, min=0.5, help="From the begin of the last night that is given"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "FitPointingModel.input_files",
        "archive": "FitPointingModel.archive",
        "telescope": "FitPointingModel.telescope",
        "terms": "FitPointingModel.terms",
    }
    flags: ClassVar[dict] = {
        "free-nights": (
            {"FitPointingModel": {"free_nights": True}},
            "Own IA and IE for each night",
        ),
    }

    def setup(self) -> None:
        """Check what has to be given."""
        super().setup()
        require(
            bool(self.input_files) != bool(self.archive and self.telescope),
            f"{self.name} needs either --input, star tracking of nights, or both of --archive and "
            "--telescope",
        )

    def start(self) -> None:
        """Read, select, fit, compare nights, write."""
        from dataclasses import replace

        from ..pointing.measurements import Selection, usable
        from ..pointing.pointing_model_fit import FitSettings, fitted_pointing_model
        from ..pointing.term_selection import selected_terms

        site = self.load_site()
        paths = self.input_files or self.certified_tracking(site)
        measurements, is_valid, header = self.read_tracking(paths, site)
        selection = Selection(
            self.min_altitude_in_deg, self.max_altitude_in_deg, self.max_offset_in_deg
        )
        used, left_out = usable(measurements, is_valid, selection)
        settings = FitSettings(
            terms=tuple(self.terms),
            priors=self.priors(),
            prior_error=self.prior_error_in_arcsec,
            scatter=self.scatter,
            outlier_sigma=self.outlier_sigma,
            free_nights=self.free_nights,
            min_measurements=self.min_measurements,
        )
        fit = fitted_pointing_model(measurements.chosen(used), settings)
        steps: list[Any] = []
        if self.candidates:
            terms, steps = selected_terms(
                fit.used,
                settings.terms,
                self.candidates,
                self.night_parameters(fit),
                threshold=self.min_bic_gain,
            )
            settings = replace(settings, terms=terms)
            fit = fitted_pointing_model(measurements.chosen(used), settings)
        self.write(fit, settings, header, left_out, steps)

    def priors(self) -> dict[str, tuple[float, float]]:
        """Priors of the configuration, checked."""
        for term, entry in self.priors_in_arcsec.items():
            require(
                isinstance(entry, list | tuple) and len(entry) == 2,
                f"prior of {term} is {entry!r}: give value and error in arcsec, [0, 20]",
            )
        return {term: (float(a), float(b)) for term, (a, b) in self.priors_in_arcsec.items()}

    def certified_tracking(self, site: Any) -> list[Any]:
        """Star tracking of the telescope that is certified in the last nights."""
        from datetime import timedelta

        from ..archive.lookup import data_id, newest_layer, product_path
        from ..archive.repository import open_archive
        from ..archive.validity import Interval
        from ..core.exceptions import MissingInputError
        from ..core.night import night_date, night_span

        first = str(night_date(self.night) - timedelta(days=self.n_nights - 1))
        span = Interval.of(night_span(first, site)[0], night_span(self.night, site)[1])
        archive = open_archive(self.archive)
        layers = archive.layers(site.name, self.category)
        where = data_id(archive, TRACKING, site.name, telescope=self.telescope)
        found = newest_layer(archive, TRACKING, layers, span, where)
        if not found:
            raise MissingInputError(
                f"{self.archive} has no certified {TRACKING} of {self.telescope} from the night "
                f"{first} to {self.night}; certify some, or give more nights (`n_nights`)"
            )
        return [product_path(archive, entry.product_id) for entry in found]

    def read_tracking(self, paths: Any, site: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Measurements of all files, which are valid, and the header of the last night."""
        from ..core.ctapipe_groups import DL1_TEL_STAR_TRACKING_GROUP
        from ..core.telescope_file import read_telescope_table
        from ..pointing.tracking_table import tracked_offsets

        read = []
        for path in paths:
            table = read_telescope_table(path, DL1_TEL_STAR_TRACKING_GROUP, 0, "star tracking")
            header = table.meta["calibpipe"]
            require(
                header.get("kind") == TRACKING,
                f"{path} is a product {header.get('kind')!r}, needs {TRACKING!r}",
            )
            require(
                header["site"] == site.name,
                f"{path} is of {header['site']}, the site is {site.name}",
            )
            require(
                header["night"] <= self.night,
                f"{path} is of night {header['night']}, later than --night {self.night}",
            )
            read.append((header["night"], path, table, header))
        read.sort(key=lambda entry: (entry[0], entry[3].get("obs_id") or 0, str(entry[1])))
        for _, path, *_ in read:
            self.add_input(path, TRACKING)
        _, _, tables, headers = zip(*read, strict=True)
        return *tracked_offsets(tables, headers), headers[-1]

    def night_parameters(self, fit: Any) -> Any:
        """Own IA and IE of nights, if the model has them."""
        import numpy as np

        from ..pointing.night_changes import night_columns

        if not self.free_nights:
            return None
        return night_columns(fit.used, np.ones(len(fit.used), bool))

    def write(
        self,
        fit: Any,
        settings: Any,
        header: dict[str, Any],
        left_out: dict[str, int],
        steps: list[Any],
    ) -> None:
        """Terms, residuals, nights."""
        import astropy.units as u

        from ..core.hdf5_tables import subarray_of_file
        from ..core.night import night_span
        from ..core.telescope_file import write_telescope_tables
        from ..pointing.night_changes import drift_test, hysteresis_test, night_test
        from ..pointing.pointing_model_table import night_table, residual_table, term_table
        from ..pointing.term_selection import bic_gains

        of_fit, free = fit.without_fixed, fit.free_terms
        more = self.night_parameters(fit)
        night, offsets = night_test(of_fit, free)
        tests = {
            "nights": night,
            "drift": drift_test(of_fit, free, more),
            "hysteresis": hysteresis_test(of_fit, free, more),
        }
        remarks = [*fit.remarks, *self.remarks(tests)]
        begin, _ = night_span(fit.measurements.nights[-1], self._loaded_site)
        name, tel_id = header["array_element"], header["tel_id"]
        metadata = self.metadata(
            KIND,
            f"Pointing model of {name}, {len(settings.terms)} terms, up to night {self.night}",
            validity=(begin, begin + self.validity_in_days * u.day),
            details={"tel_id": tel_id, "array_element": name}
            | _facts(fit, tests)
            | {
                "left_out": left_out,
                "selection": [{"term": s.term, "bic_gain": s.gain} for s in steps],
                "remarks": remarks,
            },
        )
        tables = {
            TERMS_GROUP: term_table(fit, settings, bic_gains(of_fit, free, more)),
            RESIDUALS_GROUP: residual_table(fit),
            NIGHTS_GROUP: night_table(fit, offsets),
        }
        alone = subarray_of_file(self._inputs[-1][1]).select_subarray([tel_id])
        write_telescope_tables(self.output, alone, tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in remarks:
            self.log.warning("%s", remark)
        self.log.info(
            "%s: residuals %.1f arcsec on the sky (%.1f without a model) of %d measurements in "
            "%d nights",
            name,
            fit.sky_rms,
            fit.rms_before,
            len(fit.used),
            len(fit.measurements.nights),
        )

    def remarks(self, tests: dict[str, Any]) -> list[str]:
        """What a reader must know of nights, time and the drive."""
        found = []
        if tests["nights"].p_value < UNLIKELY and not self.free_nights:
            found.append(
                f"nights do not agree in IA and IE (chance {tests['nights'].p_value:.1g}): errors "
                "of both are too small; set `free_nights`"
            )
        if tests["drift"].p_value < UNLIKELY:
            rate = tests["drift"].value
            found.append(
                f"IA and IE change with time, {rate[0]:.2g} and {rate[1]:.2g} arcsec a day (chance "
                f"{tests['drift'].p_value:.1g}): the model is a mean"
            )
        if tests["hysteresis"].p_value < UNLIKELY:
            of = tests["hysteresis"].value
            found.append(
                f"offsets change sign with the direction of the drive, {of[0]:.2g} arcsec in "
                f"azimuth and {of[1]:.2g} in altitude (chance {tests['hysteresis'].p_value:.1g}): "
                "the model has no hysteresis"
            )
        return found


def _facts(fit: Any, tests: dict[str, Any]) -> dict[str, Any]:
    """Numbers of the fit for the header."""
    import numpy as np

    from ..pointing.pointing_model_table import model_header

    m, variance, error = fit.measurements, fit.fit.scatter_variance, fit.fit.scatter_variance_error
    return {
        "nights": list(m.nights),
        "n_nights": len(m.nights),
        "n_measurements": len(m),
        "n_used": int(np.count_nonzero(fit.is_used)),
        "n_outliers": int(np.count_nonzero(fit.is_outlier)),
        "n_fixed_terms": int(np.count_nonzero(fit.model.is_fixed)),
        "condition_number": fit.fit.condition,
        "residual_rms_in_arcsec": fit.residual_rms,
        "sky_rms_in_arcsec": fit.sky_rms,
        "sky_rms_before_in_arcsec": fit.rms_before,
        "chi2": fit.fit.chi2,
        "n_dof": fit.fit.n_dof,
        "scatter_upper_limit_in_arcsec": _known(np.sqrt(variance + 1.645 * error)),
        "tests": {
            name: {
                "chi2": test.chi2,
                "n_dof": test.n_dof,
                "p_value": _known(test.p_value),
            }
            for name, test in tests.items()
        },
        "drift_in_arcsec_per_day": _known(tests["drift"].value),
        "hysteresis_in_arcsec": _known(tests["hysteresis"].value),
        "hysteresis_error_in_arcsec": _known(tests["hysteresis"].error),
        **model_header(fit.model),
    }


def _known(value: Any) -> Any:
    """Numbers for JSON, None where there is none."""
    import numpy as np

    none: Any = None
    numbers: Any = np.where(np.isfinite(value), value, none)
    return numbers.tolist() if numbers.ndim else numbers.item()


def main() -> None:
    """Run the Tool."""
    FitPointingModel().run()
