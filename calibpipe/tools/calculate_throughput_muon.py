"""Optical throughput of one telescope from the muon rings of a night."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .muon_rings_tool import MuonRingsTool
from .night_tool import require

KIND = "throughput/muon_throughput"
NIGHT_GROUP = "/calibpipe/throughput/muon_night"
CORRECTIONS_GROUP = "/calibpipe/throughput/muon_corrections"
CORRECTIONS = (
    "atmosphere",
    "refractive_index_gradient",
    "focus_distance",
    "coma",
    "inclined_muons",
    "mirror_shape",
    "shadowing",
    "knock_on_electrons",
    "chromatic",
    "trigger_and_cleaning",
    "camera_gain",
    "plate_scale",
)


class CalculateThroughputMuon(MuonRingsTool):
    """Calculate the optical throughput of a telescope from its muon rings.

    Throughput is the number of photoelectrons per Cherenkov photon of 300 to 600 nm that reaches
    the mirror; pixel_gaps in the header says whether light between the pixels counts. Robust means
    over chunks of rings and over the night, with statistical error, named corrections (each can be
    switched off) and their systematic errors; and what ctapipe's fit of muons gives for the same
    rings. A ring counts once however many telescopes saw the event.
    """

    name = "calibpipe-calculate-throughput-muon"
    description = __doc__
    examples = """
    calibpipe-calculate-throughput-muon --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input LSTN-01/throughput/muon_rings.OBSID1.h5 \\
        --atmosphere atmosphere/atmospheric_model.ecsv \\
        --extinction atmosphere/rayleigh_extinction.ecsv \\
        --output LSTN-01/throughput/muon_throughput.h5
    """

    extinction = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Rayleigh extinction of the night, for the colours of muon and shower light",
    ).tag(config=True)
    spectral_response = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="ECSV with wavelength, response and reference_response (of the simulation)",
    ).tag(config=True)
    chunk_size = traits.Int(500, min=2, help="Rings in a chunk").tag(config=True)
    chunk_duration_in_s = traits.Float(
        None, allow_none=True, help="Longest chunk; not given: as long as its rings last"
    ).tag(config=True)
    max_sigma = traits.Float(4.0, min=2.0, help="Rings beyond are outliers").tag(config=True)
    mirror_sides = traits.Int(6, min=0, help="Of the mirror's outline; 0 for a disc").tag(
        config=True
    )
    shadowing = traits.Float(
        1.0, min=1.0, help="Light without over light with masts, beyond the disc of the camera"
    ).tag(config=True)
    shadowing_error = traits.Float(0.01, min=0.0, help="Relative").tag(config=True)
    chromatic_error = traits.Float(
        0.01, min=0.0, help="Relative, where the spectral response is not measured"
    ).tag(config=True)
    switched_off = traits.List(
        traits.CaselessStrEnum(CORRECTIONS), help="Corrections that are told, but not applied"
    ).tag(config=True)

    aliases: ClassVar[dict] = MuonRingsTool.aliases | {
        "extinction": "CalculateThroughputMuon.extinction",
        "spectral-response": "CalculateThroughputMuon.spectral_response",
    }

    def start(self) -> None:
        """Read rings, correct, average, write."""
        from ..throughput.muon_corrections import product_of_corrections, switched_off
        from ..throughput.muon_throughput import (
            mean_throughput,
            ring_chunks,
            ring_errors,
            throughput_table,
        )

        site = self.load_site()
        rings, headers, subarray, tel_id = self.read_rings()
        errors = ring_errors(rings)
        whole = mean_throughput(rings.throughput, errors, max_sigma=self.max_sigma)
        found = self.corrections(site, rings, whole, headers, subarray.tel[tel_id])
        found = [switched_off(c) if c.name in self.switched_off else c for c in found]
        factor, sys_error = product_of_corrections(found)
        chunks = list(
            ring_chunks(rings.time, size=self.chunk_size, duration=self.chunk_duration_in_s)
        )
        means = [
            mean_throughput(rings.throughput[c], errors[c], max_sigma=self.max_sigma)
            for c in chunks
        ]
        table = throughput_table(rings, means, chunks, factor, sys_error)
        night = throughput_table(rings, [whole], [slice(None)], factor, sys_error)
        self.write(table, night, found, headers, subarray, tel_id)

    def corrections(
        self, site: Any, rings: Any, whole: Any, headers: list[dict], telescope: Any
    ) -> list[Any]:
        """All corrections by name, with their errors."""
        import astropy.units as u
        import numpy as np

        from ..throughput import muon_corrections as c
        from ..throughput.muon_width import angle_at_mirror, emission_angle, track_moments

        used = rings.chosen(whole.is_used)
        n_faint = sum(header.get("n_faint", 0) for header in headers)
        faint = n_faint / (n_faint + len(rings))
        air, optics = self.air(site), self.optics(telescope, headers)
        radius, impact = used.radius * u.deg, used.impact * u.m
        track = track_moments(impact, optics)
        emitted = emission_angle(radius, track, optics)
        at_mirror = angle_at_mirror(emitted, track, optics, air)
        transmission = np.nanmean(used.transmission) if np.isfinite(used.transmission).any() else 1
        relative_impact = used.impact / optics.mirror_radius.to_value(u.m)
        return [
            c.transmission_correction(float(transmission)),
            c.angle_correction(
                "refractive_index_gradient",
                emitted,
                at_mirror,
                relative=0.1,
                source="angle at the mirror from that at the mean height; night's air",
            ),
            c.angle_correction(
                "focus_distance",
                radius,
                emitted,
                relative=0.2,
                source="camera sharp at infinity"
                if np.isinf(self.focus_distance_in_m)
                else f"camera sharp at {self.focus_distance_in_m:g} m",
            ),
            c.coma_correction(optics.coma, _known_coma(telescope.optics)),
            c.inclination_correction(used.inclination),
            c.mirror_shape_correction(self.mirror_sides, relative_impact),
            c.Correction(
                "shadowing", self.shadowing, self.shadowing_error, "masts and cables; configured"
            ),
            c.knock_on_correction(),
            self.chromatic(site),
            c.light_loss_correction(
                used.throughput, _brightness(used), whole.errors[whole.is_used], faint
            ),
            c.Correction(
                "camera_gain",
                1.0,
                max((header.get("camera_gain_error", 0.0) for header in headers), default=0.0),
                "systematic error of the camera coefficients, common to all pixels",
            ),
            c.plate_scale_correction(
                {header.get("focal_length", "unknown") for header in headers},
                telescope.optics.effective_focal_length,
                telescope.optics.equivalent_focal_length,
            ),
        ]

    def chromatic(self, site: Any) -> Any:
        """Colour of muon light and of shower light."""
        import astropy.units as u
        import numpy as np

        from ..core.ecsv_input import read_ecsv
        from ..core.products import read_table
        from ..throughput.muon_corrections import chromatic_correction, transmission_to_level

        if self.spectral_response is None or self.extinction is None:
            wavelength = np.linspace(300, 600, 2) * u.nm
            return chromatic_correction(
                wavelength, None, None, np.ones(2), np.ones(2), error=self.chromatic_error
            )
        kind = "atmosphere/rayleigh_extinction"
        table = read_table(self.add_input(self.extinction, kind), kind)
        path = self.add_input(self.spectral_response, "throughput/spectral_response")
        response = read_ecsv(path, "spectral response")
        missing = {"wavelength", "response", "reference_response"} - set(response.colnames)
        require(not missing, f"{path} has no column {', '.join(sorted(missing))}")
        x = u.Quantity(response["wavelength"], u.nm)
        altitude = table.meta["calibpipe"]["altitude_in_km"] * u.km
        levels = site.elevation + 0.5 * u.km, 10 * u.km  # of muon and of shower light
        through = [
            transmission_to_level(level, x, altitude, table["wavelength"], table["optical_depth"])
            for level in levels
        ]
        values = (np.asarray(response[name], float) for name in ("response", "reference_response"))
        return chromatic_correction(x, *values, *through)

    def write(
        self,
        table: Any,
        night: Any,
        corrections: list[Any],
        headers: list[dict],
        subarray: Any,
        tel_id: int,
    ) -> None:
        """Chunks, night, corrections."""
        from dataclasses import asdict

        import numpy as np
        from astropy.table import Table

        from ..core.ctapipe_groups import DL1_TEL_MUON_THROUGHPUT_GROUP
        from ..core.night import night_span
        from ..core.telescope_file import write_telescope_tables
        from ..throughput.pixel_gaps import camera_fill_factor, muon_pixel_gaps

        filled = camera_fill_factor(subarray.tel[tel_id].camera.geometry)
        alone = subarray.select_subarray([tel_id])
        name = headers[0].get("array_element") or str(alone.tel[tel_id])
        row = night[0]
        band = headers[0].get("band_in_nm", [300.0, 600.0])
        metadata = self.metadata(
            KIND,
            f"Optical throughput of {name} from muon rings, night {self.night}",
            validity=night_span(self.night, self._loaded_site),
            details={
                "tel_id": tel_id,
                "array_element": name,
                "band_in_nm": band,
                "pixel_gaps": muon_pixel_gaps(filled),
                "pixel_fill_factor": filled,
                "n_rings": int(row["n_events"]),
                "n_images": sum(header.get("n_images", 0) for header in headers),
                "rejected": _sum_of_counts(headers),
                "observations": sorted({int(h["obs_id"]) for h in headers if "obs_id" in h}),
                "throughput": float(row["mean"]),
                "stat_error": float(row["sem"]),
                "sys_error": float(row["sys_error"]),
                "ctapipe_throughput": float(row["ctapipe_mean"]),
                "corrections": [asdict(correction) for correction in corrections],
                "remarks": [text for header in headers for text in header.get("remarks", [])],
            },
        )
        listed = Table(
            {
                key: np.array([getattr(correction, key) for correction in corrections])
                for key in ("name", "factor", "error", "applied", "source")
            }
        )
        tables = {
            DL1_TEL_MUON_THROUGHPUT_GROUP: table,
            NIGHT_GROUP: night,
            CORRECTIONS_GROUP: listed,
        }
        write_telescope_tables(self.output, alone, tel_id, tables, metadata)
        self.add_output(self.output, KIND)
        self.log.info(
            "%s: throughput %.4f +- %.4f (stat) +- %.4f (sys) from %d rings",
            name,
            row["mean"],
            row["sem"],
            row["sys_error"],
            row["n_events"],
        )


def _brightness(rings: Any) -> Any:
    """Photons of the rings; of rings of ctapipe, that there are more the smaller the impact is."""
    import numpy as np

    return rings.photons if np.isfinite(rings.photons).all() else -rings.impact


def _known_coma(optics: Any) -> float:
    """Coma of a telescope's description; 0 where its effective focal length is not known."""
    import numpy as np

    from ..pointing.coma_psf import coma_of_optics

    return coma_of_optics(optics) if np.isfinite(optics.effective_focal_length) else 0.0


def _sum_of_counts(headers: list[dict]) -> dict[str, int]:
    """Images by verdict, of all observations."""
    total: dict[str, int] = {}
    for header in headers:
        for name, n in header.get("rejected", {}).items():
            total[name] = total.get(name, 0) + n
    return total


def main() -> None:
    """Run the Tool."""
    CalculateThroughputMuon().run()
