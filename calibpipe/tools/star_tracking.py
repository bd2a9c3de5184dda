"""Pointing of one telescope against time, from the stars in its sky pedestals."""

from typing import Any

from .star_images_tool import StarImagesTool

KIND = "pointing/star_tracking"
STARS_GROUP = "/calibpipe/pointing/stars"
SPOTS_GROUP = "/calibpipe/pointing/spots"


class StarTracking(StarImagesTool):
    """Measure where a telescope points, by the stars in variance images of its sky pedestals.

    Offsets of the camera from the drive, block by block, with statistical and systematic errors;
    one rotation and one plate scale. Events are those of an observation block of the night's index
    (--index, --dl0-root, --telescope, --obs-id), of files (--input), or statistics of short chunks
    (--statistics). Places of stars are refracted by the air of --density-profile.
    """

    name = "calibpipe-star-tracking"
    description = __doc__
    examples = """
    calibpipe-star-tracking --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --index array/dl0_index.ecsv --dl0-root simulated --telescope LSTN-01 --obs-id 1 \\
        --coefficients LSTN-01/camera/coefficients.OBSID1.h5 --pointing LSTN-01.pointing.h5 \\
        --density-profile atmosphere/density_profile.ecsv \\
        --output LSTN-01/pointing/star_tracking.OBSID1.h5
    """

    def start(self) -> None:
        """Track, write."""
        import numpy as np

        found = self.tracked()
        table = self.write(found)
        good = table[table["is_valid"]]
        for name in ("dlon", "dlat"):
            self.log.info(
                "%s: mean %s %.2f arcsec, errors %.2f (stat, a block) and %.2f (sys), %d of %d "
                "blocks",
                found["subarray"].name,
                name,
                *(
                    3600 * float(np.mean(good[column].to_value("deg")))
                    for column in (name, f"{name}_stat_error", f"{name}_sys_error")
                ),
                len(good),
                len(table),
            )

    def write(self, found: dict[str, Any]) -> Any:
        """Offsets, stars and spots."""
        import astropy.units as u

        from ..core.ctapipe_groups import DL1_TEL_STAR_TRACKING_GROUP
        from ..core.telescope_file import write_telescope_tables
        from ..pointing.star_tracking_table import pointing_table, spot_table, star_table

        tracking, name = found["tracking"], found["subarray"].name
        table = pointing_table(tracking, found["left_out"])
        begin, end = table["time"][[0, -1]] + [-0.5, 0.5] * table["duration"][[0, -1]].to(u.s)
        tables = {
            DL1_TEL_STAR_TRACKING_GROUP: table,
            STARS_GROUP: star_table(tracking),
            SPOTS_GROUP: spot_table(tracking),
        }
        metadata = self.metadata(
            KIND,
            f"Pointing of {name} from stars, night {self.night}",
            validity=(begin, end),
            details=self.details(found) | self.alignment(tracking) | self.numbers(table),
        )
        write_telescope_tables(self.output, found["subarray"], found["tel_id"], tables, metadata)
        self.add_output(self.output, KIND)
        return table

    def alignment(self, tracking: Any) -> dict[str, Any]:
        """Rotation and plate scale, how good the fit is."""
        import astropy.units as u
        import numpy as np

        fit = tracking.trajectory
        stat = np.sqrt(np.diag(fit.common_covariance))
        sys = np.sqrt(sum(error**2 for error in fit.common_systematics.values()))
        spots = [one.spots for one in tracking.fits if one.spots is not None]
        to_arcmin = np.rad2deg(1) * 60
        return {
            "rotation_in_arcmin": tracking.rotation * to_arcmin,
            "rotation_stat_error_in_arcmin": stat[0] * to_arcmin,
            "rotation_sys_error_in_arcmin": sys[0] * to_arcmin,
            "plate_scale": tracking.plate_scale,
            "plate_scale_stat_error": stat[1],
            "plate_scale_sys_error": sys[1],
            "chi2": fit.chi2,
            "n_degrees": fit.n_degrees,
            "pixel_chi2": sum(one.chi2 for one in spots),
            "pixel_n_degrees": sum(one.n_degrees for one in spots),
            "n_iterations": tracking.n_iterations,
            "psf_in_deg": float(tracking.psf.sigma.to_value(u.deg)),
            "coma": tracking.psf.coma,
            "systematics_in_arcsec": {
                key: 3600 * np.rad2deg(float(np.mean([s[key].mean() for s in every])))
                for every in [fit.own_systematics]
                for key in every[0]
            },
        }

    def numbers(self, table: Any) -> dict[str, Any]:
        """How many blocks are valid, and why the others are not."""
        from collections import Counter

        bad = Counter(str(text) for text in table["status"][~table["is_valid"]])
        for text, n in bad.items():
            self.log.warning("%d blocks: %s", n, text)
        return {
            "n_blocks": len(table),
            "n_valid_blocks": int(table["is_valid"].sum()),
            "invalid_blocks": dict(sorted(bad.items())),
        }


def main() -> None:
    """Run the Tool."""
    StarTracking().run()
