"""Optical point spread function of one telescope from the stars in its sky pedestals."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .star_images_tool import StarImagesTool

KIND = "pointing/star_psf"
PROFILE_GROUP = "/calibpipe/pointing/star_psf_profile"
STARS_GROUP = "/calibpipe/pointing/star_psf_stars"
FIELD_ANGLES = (0.0, 0.5, 1.0, 1.5, 2.0)  # deg


class CalculatePsfStars(StarImagesTool):
    """Calculate the optical point spread function of a telescope from the images of stars.

    Gaussian width and coma of all stars together, containment of 80 % of the light against the
    field angle, the width of each star; compared with that of muon rings (--muon-psf). Inputs as
    of calibpipe-star-tracking.
    """

    name = "calibpipe-calculate-psf-stars"
    description = __doc__
    examples = """
    calibpipe-calculate-psf-stars --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input DL0/LSTN-01/...fits.fz --coefficients LSTN-01/camera/coefficients.OBSID1.h5 \\
        --pointing LSTN-01.pointing.h5 --density-profile atmosphere/density_profile.ecsv \\
        --muon-psf LSTN-01/throughput/muon_psf.h5 --output LSTN-01/pointing/star_psf.OBSID1.h5
    """

    muon_psf = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Product throughput/muon_psf to compare with",
    ).tag(config=True)
    ring_angle_in_deg = traits.Float(1.2, min=0.1, help="Radius of the muon rings").tag(config=True)
    free_coma = traits.Bool(True, help="Fit the coma; that of ray tracing if not").tag(config=True)

    aliases: ClassVar[dict] = StarImagesTool.aliases | {"muon-psf": "CalculatePsfStars.muon_psf"}

    def start(self) -> None:
        """Track, measure, compare, write."""
        from ..pointing.optical_psf import star_psf

        found = self.tracked()
        images = found["images"]
        psf = star_psf(found["tracking"], images.response_error, images.low_gain_error)
        self.write(found, psf, self.comparison(psf, found["tel_id"]))

    def comparison(self, psf: Any, tel_id: int) -> dict[str, float] | None:
        """Stars against muon rings, if there are any."""
        import astropy.units as u

        from ..core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP
        from ..core.telescope_file import read_telescope_table
        from ..pointing.optical_psf import compare_with_muons

        if self.muon_psf is None:
            return None
        path = self.add_input(self.muon_psf, "throughput/muon_psf")
        table = read_telescope_table(path, DL1_TEL_OPTICAL_PSF_GROUP, tel_id, "muon PSF")
        row, coma = table[0], table.meta["calibpipe"].get("coma", 0.0)
        width, stat, sys = (u.Quantity(row[n], u.deg) for n in ("width", "stat_error", "sys_error"))
        angle = self.ring_angle_in_deg * u.deg
        compared = compare_with_muons(psf, width, stat, sys, angle, muon_coma=coma)
        return {
            "star_in_deg": float(compared.star.value),
            "star_error_in_deg": float(compared.star_error.value),
            "muon_in_deg": float(compared.muon.value),
            "muon_error_in_deg": float(compared.muon_error.value),
            "difference_in_deg": float(compared.difference.value),
            "z_score": compared.z_score,
        }

    def write(self, found: dict[str, Any], psf: Any, comparison: dict | None) -> None:
        """One row, containment against field angle, stars."""
        import astropy.units as u

        from ..core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP
        from ..core.night import night_span
        from ..core.telescope_file import write_telescope_tables
        from ..pointing.star_psf_table import profile_table, psf_table, star_width_table

        images, name = found["images"], found["subarray"].name
        table = psf_table(psf, images.time[0], images.time[-1])
        tables = {
            DL1_TEL_OPTICAL_PSF_GROUP: table,
            PROFILE_GROUP: profile_table(psf, FIELD_ANGLES * u.deg),
            STARS_GROUP: star_width_table(psf),
        }
        row = {
            f"{key}_in_deg": float(table[key][0].to_value(u.deg))
            for key in ("width", "stat_error", "sys_error", "theta80")
        }
        metadata = self.metadata(
            KIND,
            f"Optical point spread function of {name} from stars, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details=self.details(found)
            | row
            | {
                "coma": psf.psf.coma,
                "systematics": {key: list(map(float, v)) for key, v in psf.systematics.items()},
                "muon_comparison": comparison,
            },
        )
        write_telescope_tables(self.output, found["subarray"], found["tel_id"], tables, metadata)
        self.add_output(self.output, KIND)
        self.log.info(
            "%s: width %.4f +- %.4f (stat) +- %.4f (sys) deg, 80 %% within %.4f deg on the axis",
            name,
            *row.values(),
        )


def main() -> None:
    """Run the Tool."""
    CalculatePsfStars().run()
