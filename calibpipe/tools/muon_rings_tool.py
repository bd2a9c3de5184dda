"""What Tools share that start from tables of muon rings."""

from pathlib import Path
from typing import Any, ClassVar

from ctapipe.core import traits

from ..core.exceptions import InsufficientStatisticsError
from .night_tool import NightTool, require

RINGS_KIND = "throughput/muon_rings"
MODEL_KIND = "atmosphere/atmospheric_model"


class MuonRingsTool(NightTool):
    """A Tool that reads the muon rings of one telescope in one night."""

    rings = traits.List(
        traits.Path(exists=None, directory_ok=False),
        help="Muon rings of one telescope: products, or files of ctapipe-process with muons",
    ).tag(config=True)
    tel_id = traits.Int(0, min=0, help="Telescope; 0: the one that the rings are of").tag(
        config=True
    )
    atmosphere = traits.Path(
        None,
        allow_none=True,
        exists=None,
        directory_ok=False,
        help="Atmospheric model of the night; not given: the US standard atmosphere",
    ).tag(config=True)
    focus_distance_in_m = traits.Float(
        float("inf"), help="Of the object that is sharp in the camera (LST: 10 km is usual)"
    ).tag(config=True)
    min_rings = traits.Int(20, min=2, help="Fewer rings of a night give no result").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "MuonRingsTool.rings",
        "tel-id": "MuonRingsTool.tel_id",
        "atmosphere": "MuonRingsTool.atmosphere",
    }
    required: ClassVar[tuple[str, ...]] = (*NightTool.required, "rings")

    def read_rings(self) -> tuple[Any, list[dict[str, Any]], Any, int]:
        """Rings that count, headers of the files, subarray, telescope.

        ``n_faint`` in a header: rings that were cut for nothing but little light.
        """
        from ..core.muon_file import read_muon_tables
        from ..throughput.muon_ring_table import CTAPIPE_COLUMNS, RING_COLUMNS, joined_rings
        from ..throughput.muon_rings import faint_rings

        paths = [self.add_input(path, RINGS_KIND) for path in self.rings]
        columns = list(dict.fromkeys([*RING_COLUMNS, *CTAPIPE_COLUMNS]))
        read = read_muon_tables(paths, self.tel_id, columns)
        first = read[0]
        telescope = first.subarray.tel[first.tel_id]
        rings = joined_rings([entry.table for entry in read], area_ratio(telescope))
        headers = [
            entry.header | {"n_faint": int(faint_rings(entry.table["rejection"]).sum())}
            if "rejection" in entry.table.colnames
            else entry.header
            for entry in read
        ]
        if len(rings) < self.min_rings:
            n_images = sum(len(entry.table) for entry in read)
            raise InsufficientStatisticsError(
                f"needs at least {self.min_rings} muon rings, got {len(rings)} of {n_images} "
                f"images in {', '.join(Path(path).name for path in paths)}{_reasons(headers)}; "
                "take muons for longer, look at the cuts, or lower min_rings"
            )
        return rings, headers, first.subarray, first.tel_id

    def air(self, site: Any) -> Any:
        """Air at the telescopes."""
        import astropy.units as u
        import numpy as np

        from ..atmosphere.standard_atmosphere import standard_atmosphere
        from ..core.products import read_table
        from ..throughput.muon_width import air_of_model

        if self.atmosphere is None:
            altitude = np.linspace(0, 6, 61) * u.km
            found = standard_atmosphere(altitude)
            dry = np.zeros(len(altitude))
            columns = (altitude, found.pressure, found.temperature, found.density, dry)
            return air_of_model(*columns, site.elevation)
        model = read_table(self.add_input(self.atmosphere, MODEL_KIND), MODEL_KIND)
        names = ("altitude", "pressure", "temperature", "density", "water_vapour_pressure_ratio")
        return air_of_model(
            *(model[name] for name in names),
            site.elevation,
            model.meta["calibpipe"]["co2_mole_fraction"],
        )

    def optics(self, telescope: Any, headers: list[dict[str, Any]]) -> Any:
        """Mirror, focus, pixels, and the coma that the fit of the rings has taken out."""
        import astropy.units as u
        import numpy as np
        from ctapipe.coordinates import TelescopeFrame

        from ..throughput.muon_width import Optics, pixel_variance

        area = telescope.optics.mirror_area
        require(
            area is not None and area > 0 * u.m**2,
            f"the description of {telescope} has no mirror area ({area}); set CTAPIPE_SVC_PATH to "
            "service data that have it",
        )
        radius = headers[0].get("mirror_radius_in_m") or np.sqrt(area.to_value(u.m**2) / np.pi)
        geometry = telescope.camera.geometry.transform_to(TelescopeFrame())
        variance = pixel_variance(geometry.pix_type.name, np.median(geometry.pixel_width))
        # a focus at infinity is no JSON number: None
        comas = {(h.get("coma", 0.0), h.get("focus_distance_in_m")) for h in headers}
        require(
            len(comas) == 1,
            f"rings of {telescope} were fitted with different coma or focus ({list(comas)}): their "
            "widths do not go together; make all with the same coma and focus of MuonSettings",
        )
        ((coma, focus),) = comas
        return Optics(
            radius * u.m,
            self.focus_distance_in_m * u.m,
            variance,
            coma=coma,
            fit_focus_distance=(np.inf if focus is None else focus) * u.m,
        )


def area_ratio(telescope: Any) -> float:
    """Area of a pixel over that which ctapipe's prediction of muon light gives to it."""
    from ctapipe.coordinates import TelescopeFrame

    from ..throughput.muon_rings import CameraPixels

    geometry = telescope.camera.geometry.transform_to(TelescopeFrame())
    return CameraPixels.of_geometry(geometry).area_ratio


def _reasons(headers: list[dict[str, Any]]) -> str:
    """Why images were no rings, the most frequent reasons first."""
    total: dict[str, int] = {}
    for header in headers:
        for name, n in header.get("rejected", {}).items():
            total[name] = total.get(name, 0) + n
    total.pop("good", None)
    named = [f"{n} {name}" for name, n in sorted(total.items(), key=lambda item: -item[1]) if n]
    remarks = [text for header in headers for text in header.get("remarks", [])]
    told = "; ".join([*named[:4], *remarks])
    return f" ({told})" if told else ""
