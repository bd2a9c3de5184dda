"""Optical point spread function of one telescope from the muon rings of a night."""

from typing import Any

from ctapipe.core import traits

from .muon_rings_tool import MuonRingsTool

KIND = "throughput/muon_psf"
PROFILE_GROUP = "/calibpipe/throughput/muon_psf_profile"
SECTORS_GROUP = "/calibpipe/throughput/mirror_sectors"
STANDARD_AIR_ERROR = 0.03  # of n - 1: US standard atmosphere against a summer night at 2150 m


class CalculatePsfMuon(MuonRingsTool):
    """Calculate the optical point spread function of a telescope from widths of muon rings.

    What the air, the muon and the focus add to the width of a ring is subtracted, ring by ring; the
    rest is the optics. Light off the rings by azimuth tells of misaligned mirrors.
    """

    name = "calibpipe-calculate-psf-muon"
    description = __doc__
    examples = """
    calibpipe-calculate-psf-muon --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input LSTN-01/throughput/muon_rings.OBSID1.h5 \\
        --atmosphere atmosphere/atmospheric_model.ecsv --output LSTN-01/throughput/muon_psf.h5
    """

    free_scattering = traits.Bool(
        False, help="Fit the amplitude of multiple scattering, which theory knows, as well"
    ).tag(config=True)
    transverse_field_in_microtesla = traits.Float(
        None,
        allow_none=True,
        min=0.0,
        help="Earth's magnetic field across the pointing; not given: that of the site across the "
        "zenith, which is close to the mean of all pointings",
    ).tag(config=True)
    n_bins = traits.Int(10, min=2, help="Bins of radius of the profile").tag(config=True)
    sector_significance = traits.Float(
        0.0027, min=1e-9, max=0.5, help="Chance of a false alarm about a mirror's sector"
    ).tag(config=True)
    squared_excess_noise_factor = traits.Float(
        1.222, min=1.0, help="F² of the charges, for the errors of the sectors"
    ).tag(config=True)

    def start(self) -> None:
        """Read rings, subtract, average, write."""
        from dataclasses import replace

        import astropy.units as u
        import numpy as np

        from ..throughput.muon_psf import RelativeErrors, psf_from_widths, width_profile

        site = self.load_site()
        rings, headers, subarray, tel_id = self.read_rings()
        air, optics = self.air(site), self.optics(subarray.tel[tel_id], headers)
        optics = replace(optics, transverse_field=self.transverse_field(site))
        columns = (rings.radius * u.deg, rings.width * u.deg, rings.width_error * u.deg)
        impact = rings.impact * u.m
        errors = RelativeErrors()
        if self.atmosphere is None:
            errors = RelativeErrors(refractivity=STANDARD_AIR_ERROR)
        where = f"{headers[0].get('array_element', tel_id)}, night {self.night}"
        psf = psf_from_widths(
            *columns,
            impact,
            optics,
            air,
            free_scattering=self.free_scattering,
            relative_errors=errors,
            where=where,
        )
        edges = np.linspace(rings.radius.min(), rings.radius.max(), self.n_bins + 1) * u.deg
        profile = width_profile(*columns, impact, optics, air, psf, edges)
        sectors = self.sectors(rings, optics, where)
        self.write(rings, psf, profile, sectors, optics.coma, headers, subarray, tel_id)

    def transverse_field(self, site: Any) -> Any:
        """Earth's field across the pointing, which bends muons."""
        import astropy.units as u
        import numpy as np

        from ..throughput.geomagnetic_field import site_field, transverse_field

        if self.transverse_field_in_microtesla is not None:
            return self.transverse_field_in_microtesla * u.uT
        return np.hypot(*transverse_field(site_field(site.name), 90 * u.deg, 0 * u.deg))

    def sectors(self, rings: Any, optics: Any, where: str) -> Any:
        """Shifts of the light by sector; a text where they cannot be told."""
        import astropy.units as u
        import numpy as np

        from ..core.exceptions import InsufficientStatisticsError
        from ..core.muon_file import read_sectors
        from ..throughput.mirror_sectors import sector_shifts

        details = read_sectors(self.rings, self.tel_id, rings.obs_id, rings.event_id)
        if details is None:
            return "the files tell no light by sector of azimuth"
        residual, light = details
        # light at an azimuth of the ring comes from the opposite side of the mirror
        half = residual.shape[1] // 2
        residual, light = np.roll(residual, half, axis=1), np.roll(light, half, axis=1)
        spread = np.hypot(rings.width, np.sqrt(optics.pixel_variance.to_value(u.deg**2)))
        with np.errstate(divide="ignore"):
            error = spread[:, None] * np.sqrt(self.squared_excess_noise_factor / light)
        try:
            return sector_shifts(
                residual * u.deg,
                np.where(light > 0, error, 0) * u.deg,
                rings.impact * u.m,
                optics.mirror_radius,
                significance=self.sector_significance,
                where=where,
            )
        except InsufficientStatisticsError as error:
            return str(error)

    def write(
        self,
        rings: Any,
        psf: Any,
        profile: Any,
        sectors: Any,
        coma: float,
        headers: list[dict],
        subarray: Any,
        tel_id: int,
    ) -> None:
        """One row, the profile against radius, and the sectors."""
        from ..core.ctapipe_groups import DL1_TEL_OPTICAL_PSF_GROUP
        from ..core.night import night_span
        from ..core.telescope_file import write_telescope_tables
        from ..throughput.muon_psf_table import profile_table, psf_table, sector_table

        alone = subarray.select_subarray([tel_id])
        name = headers[0].get("array_element") or str(alone.tel[tel_id])
        remarks = [text for header in headers for text in header.get("remarks", [])]
        if psf.is_limit:
            remarks.append(psf.status)
        tables = {
            DL1_TEL_OPTICAL_PSF_GROUP: psf_table(psf, rings.time[0], rings.time[-1]),
            PROFILE_GROUP: profile_table(profile),
        }
        misaligned: list[int] = []
        if isinstance(sectors, str):
            remarks.append(f"mirror sectors not told: {sectors}")
        else:
            tables[SECTORS_GROUP] = sector_table(sectors)
            misaligned = [int(k) for k in sectors.is_significant.nonzero()[0]]
        row = {
            key: float(tables[DL1_TEL_OPTICAL_PSF_GROUP][key][0].to_value("deg"))
            for key in ("width", "stat_error", "sys_error", "upper_limit")
        }
        metadata = self.metadata(
            KIND,
            f"Optical point spread function of {name} from muon rings, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details={
                "tel_id": tel_id,
                "array_element": name,
                "coma": coma,
                "n_rings": psf.n_rings,
                "psf_status": psf.status,
                "width_in_deg": row["width"],
                "stat_error_in_deg": row["stat_error"],
                "sys_error_in_deg": row["sys_error"],
                "upper_limit_in_deg": row["upper_limit"],
                "variance_sys_errors_in_deg2": {
                    key: float(value.to_value("deg2"))
                    for key, value in psf.variance_sys_errors.items()
                },
                "misaligned_sectors": misaligned,
                "remarks": remarks,
            },
        )
        write_telescope_tables(self.output, alone, tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        for remark in remarks:
            self.log.warning("%s", remark)
        self.log.info(
            "%s: width of the optics %.4f +- %.4f (stat) +- %.4f (sys) deg from %d rings",
            name,
            row["width"],
            row["stat_error"],
            row["sys_error"],
            psf.n_rings,
        )


def main() -> None:
    """Run the Tool."""
    CalculatePsfMuon().run()
