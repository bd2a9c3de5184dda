"""Whether a night, and each part of it, was clear, from FRAM's optical depths."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "atmosphere/clear_night"
NIGHT, WINDOW = "night", "window"


class ClearNightAssessment(NightTool):
    """Assess from the photometry of stars (FRAM) whether a night was clear.

    Vertical aerosol optical depths (VAOD) of images, the night and windows of time, with
    statistical and systematic errors. Clear is little aerosol without variation in time or over
    the field, beyond limits of the site and season. The tests know the errors of measurement:
    a constant night is accepted however noisy, and the product says which variation they would
    have found.
    """

    name = "calibpipe-clear-night-assessment"
    description = __doc__
    examples = """
    calibpipe-clear-night-assessment --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --config config/tools/clear_night_assessment.yaml \\
        --input fram_2024-07-10.fits --output atmosphere/clear_night.ecsv
    """

    input_files = traits.List(
        traits.Path(exists=None, directory_ok=False), help="FITS tables of FRAM"
    ).tag(config=True)
    limits = traits.Dict(
        default_value={
            "CTAO-North": {"default": {"max_vaod": 0.04}},
            "CTAO-South": {"default": {"max_vaod": 0.04}},
        },
        help="Limits by site and season (or default): max_vaod, max_variation, max_field_scatter, "
        "max_detectable, min_images, size",
    ).tag(config=True)
    window_in_min = traits.Float(
        30.0, min=1.0, help="About; the night is cut into equal windows"
    ).tag(config=True)
    reference_wavelength_in_nm = traits.Float(
        440.0, min=200.0, max=1200.0, help="Wavelength of the VAOD and of its limit"
    ).tag(config=True)
    angstrom_exponent = traits.Float(
        1.2, help="Of the aerosol, where filters of the night do not tell"
    ).tag(config=True)
    angstrom_exponent_error = traits.Float(0.5, min=0.0, help="Its systematic error").tag(
        config=True
    )
    fit_angstrom_exponent = traits.Bool(True, help="From the filters of the night").tag(config=True)
    airmass = traits.CaselessStrEnum(
        ["kasten_young", "layer", "plane_parallel"],
        "kasten_young",
        help="That of FRAM's own photometric fit",
    ).tag(config=True)
    max_zenith_in_deg = traits.Float(70.0, min=1.0, max=85.0, help="Stars used").tag(config=True)
    stratospheric_optical_depth = traits.Float(
        0.005, min=0.0, help="Background, at its wavelength; subtracted"
    ).tag(config=True)
    stratospheric_optical_depth_error = traits.Float(
        0.002, min=0.0, help="Its systematic error"
    ).tag(config=True)
    stratospheric_wavelength_in_nm = traits.Float(
        420.0, min=200.0, max=1200.0, help="Where the background is known"
    ).tag(config=True)
    stratospheric_exponent = traits.Float(2.0, help="0 to 1 after eruptions").tag(config=True)
    stratospheric_exponent_error = traits.Float(0.5, min=0.0, help="Its systematic error").tag(
        config=True
    )
    calibration_error = traits.Float(
        0.008, min=0.0, help="Systematic error of the VAOD by zero point and catalogue"
    ).tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "ClearNightAssessment.input_files"
    }

    def start(self) -> None:
        """Read, decide, write."""
        import astropy.units as u

        from ..atmosphere.clear_night import assessment, limits_of, systematic_errors
        from ..core.night import astronomical_night, night_date
        from ..core.products import write_table

        require(self.input_files, f"{self.name} needs --input")
        site = self.load_site()
        night = astronomical_night(self.night, site)
        season = site.season(night_date(self.night))
        limits = limits_of(self.limits, site.name, season)
        images, facts = self.read_images(site, night, limits)
        factor, exponent = self.to_reference(images)
        window, edges = self.windows(images, night)
        choices = [(NIGHT, slice(None), (night.dusk.unix_tai, night.dawn.unix_tai))]
        choices += [(WINDOW, window == k, edges[k]) for k in sorted(set(window.tolist()))]
        rows = []
        for scope, chosen, span in choices:
            some = images.chosen(chosen)
            result = assessment(some, limits, factor=factor[chosen], window=window[chosen])
            errors = systematic_errors(
                some,
                result.vaod,
                factor=factor[chosen],
                stratosphere_error=self.stratosphere(some.wavelength * u.nm)[1],
                reference_wavelength=self.reference_wavelength_in_nm,
                exponent_error=exponent[1],
                calibration_error=self.calibration_error,
            )
            rows.append(_row(scope, span, result, errors))
        metadata = self.metadata(
            KIND,
            f"Clear-night assessment of {site.name}, night {self.night}",
            validity=(night.dusk, night.dawn),
            details=self.details(rows, limits, season, exponent) | facts,
        )
        write_table(self.output, _table(rows), metadata)
        self.add_output(self.output, KIND)
        self.log.info(
            "night %s: %s, VAOD %.4f +- %.4f +- %.4f at %g nm, scatter %.4f (above %.4f it would "
            "have been found)",
            self.night,
            "clear" if rows[0]["is_clear"] else f"not clear ({rows[0]['reasons']})",
            rows[0]["vaod"],
            rows[0]["stat_error"],
            rows[0]["sys_error"],
            self.reference_wavelength_in_nm,
            rows[0]["scatter"],
            rows[0]["detectable"],
        )

    def read_images(self, site: Any, night: Any, limits: Any) -> tuple[Any, dict[str, Any]]:
        """VAOD of the images of the night, and counts of what was left out."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.fram import image_depths
        from ..core.exceptions import CorruptedInputError, MissingInputError
        from ..core.fram_file import read_fram
        from ..core.sky import zenith_angle

        measured = read_fram([self.add_input(path, "fram") for path in self.input_files])
        others = set(measured.sites) - {site.name}
        require(
            not others,
            f"FRAM data are of {', '.join(sorted(others))}, the site is {site.name}; give the "
            "data of this site",
        )
        time = measured.time.unix_tai
        at_night = (time >= night.dusk.unix_tai) & (time < night.dawn.unix_tai)
        if not at_night.any():
            raise MissingInputError(
                f"none of {len(time)} FRAM images from {measured.time.min().utc.isot} to "
                f"{measured.time.max().utc.isot} UTC lies in the night {night.name} "
                f"({night.dusk.utc.isot} to {night.dawn.utc.isot}); give the data of this night"
            )
        zenith = zenith_angle(measured.ra, measured.dec, measured.time, site, measured.image)
        inside = at_night[measured.image]
        below = int(np.sum(inside & (zenith > 90 * u.deg)))
        if below:
            raise CorruptedInputError(
                f"{below} of {int(inside.sum())} stars are below the horizon of {site.name}: the "
                "data are of another site, or their times or coordinates are wrong"
            )
        finite = np.isfinite(measured.aod) & np.isfinite(measured.aod_error) & np.isfinite(zenith)
        has_error = ~finite | (measured.aod_error > 0)
        high = ~finite | (zenith <= self.max_zenith_in_deg * u.deg)
        stratosphere, _ = self.stratosphere(measured.wavelength)
        images = image_depths(
            time,
            measured.wavelength,
            measured.image,
            np.where(inside & has_error & high, measured.aod, np.nan),
            measured.aod_error,
            zenith,
            airmass_model=self.airmass,
            stratosphere=stratosphere,
            max_field_scatter=limits.max_field_scatter,
        )
        return images, {
            "n_images_read": len(time),
            "n_images_outside_night": int(np.sum(~at_night)),
            "rejected_measurements": {
                "not_finite": int(np.sum(inside & ~finite)),
                "error_not_positive": int(np.sum(inside & ~has_error)),
                "zenith_angle": int(np.sum(inside & has_error & ~high)),
            },
        }

    def stratosphere(self, wavelength: Any) -> tuple[Any, Any]:
        """Optical depth of the stratospheric background and its error."""
        import astropy.units as u

        from ..atmosphere.fram import stratospheric_optical_depth

        return stratospheric_optical_depth(
            wavelength,
            self.stratospheric_optical_depth,
            self.stratospheric_wavelength_in_nm * u.nm,
            self.stratospheric_exponent,
            self.stratospheric_optical_depth_error,
            self.stratospheric_exponent_error,
        )

    def to_reference(self, images: Any) -> tuple[Any, tuple[float, float, str]]:
        """Factors to the reference wavelength; exponent, its error and where it is from."""
        import astropy.units as u

        from ..atmosphere.fram import angstrom_exponent, wavelength_factor

        exponent, error, source = self.angstrom_exponent, self.angstrom_exponent_error, "configured"
        if self.fit_angstrom_exponent:
            fitted = angstrom_exponent(
                images.wavelength,
                images.vaod,
                images.stat_error,
                filter_error=self.calibration_error,
            )
            if fitted is not None and fitted[1] < error:
                exponent, error, source = *fitted, "filters"
        wanted = self.reference_wavelength_in_nm * u.nm
        factor = wavelength_factor(images.wavelength * u.nm, wanted, exponent)
        return factor, (exponent, error, source)

    def windows(self, images: Any, night: Any) -> tuple[Any, dict[int, tuple[float, float]]]:
        """Window of each image, and their edges; the night is cut into equal ones."""
        from ..atmosphere.clear_night import window_index

        begin, whole = night.dusk.unix_tai, night.duration.to_value("s")
        number = max(1, round(whole / (60 * self.window_in_min)))
        length = whole / number
        window = window_index(images.time, begin, length)
        edges = {k: (begin + k * length, begin + (k + 1) * length) for k in set(window.tolist())}
        return window, edges

    def details(
        self, rows: list[dict], limits: Any, season: str, exponent: tuple[float, float, str]
    ) -> dict[str, Any]:
        """Facts of the night for the header."""
        from dataclasses import asdict

        from ..atmosphere.clear_night import REASONS

        night, windows = rows[0], rows[1:]
        return {
            "is_clear": night["is_clear"],
            "reasons": {name: REASONS[name] for name in night["reasons"].split()},
            "vaod": night["vaod"],
            "stat_error": night["stat_error"],
            "sys_error": night["sys_error"],
            "systematic_errors": night["systematic_errors"],
            "n_windows": len(windows),
            "n_clear_windows": sum(row["is_clear"] for row in windows),
            "season": season,
            "limits": asdict(limits),
            "reference_wavelength_in_nm": self.reference_wavelength_in_nm,
            "angstrom_exponent": exponent[0],
            "angstrom_exponent_error": exponent[1],
            "angstrom_exponent_source": exponent[2],
            "airmass": self.airmass,
        }


def _row(scope: str, span: tuple[float, float], result: Any, errors: dict) -> dict[str, Any]:
    import numpy as np
    from astropy.time import Time

    begin, end = (Time(t, format="unix_tai", scale="tai").utc.isot for t in span)
    values = vars(result) | {"reasons": " ".join(result.reasons)}
    sys_error = float(np.sqrt(sum(error**2 for error in errors.values())))
    return (
        {"scope": scope, "begin_utc": begin, "end_utc": end}
        | values
        | {
            "sys_error": sys_error,
            "systematic_errors": errors,
        }
    )


def _table(rows: list[dict[str, Any]]) -> Any:
    """One row for the night, one for each window with images."""
    from astropy.table import QTable

    names = [name for name in rows[0] if name != "systematic_errors"]
    table = QTable({name: [row[name] for row in rows] for name in names})
    for name in rows[0]["systematic_errors"]:
        table[f"sys_error_{name}"] = [row["systematic_errors"][name] for row in rows]
    return table


def main() -> None:
    """Run the Tool."""
    ClearNightAssessment().run()
