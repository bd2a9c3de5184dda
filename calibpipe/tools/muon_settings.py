"""Settings of the muon analysis, telescope type by telescope type."""

from typing import TYPE_CHECKING, Any

import numpy as np
from ctapipe.core import TelescopeComponent
from ctapipe.core.traits import FloatTelescopeParameter, IntTelescopeParameter

from .night_tool import require

if TYPE_CHECKING:
    from ..throughput.muon_intensity import Mirror
    from ..throughput.muon_rings import RingCuts

NOT_KNOWN = -1.0
# LST, SST: the absent facet in the middle of the mirror (ctapipe's MuonIntensityFitter). MST: the
# bodies of NectarCAM and FlashCam, squares of 2.918 and 2.89 m (sim_telarray, prod6:
# camera_body_diameter), as discs of their area; they hide the absent facet (0.59 m).
HOLE_RADIUS_IN_M = {"LST": 0.74, "MST": 1.64, "SST": 0.38}


def _of_sizes(lst: float, mst: float) -> list[tuple[str, str, float]]:
    """A setting for all telescopes, and another for MSTs."""
    return [("type", "*", lst), ("type", "MST_*", mst)]


class MuonSettings(TelescopeComponent):
    """What counts as a muon ring, and the mirror that it is seen with.

    Every value may be given for patterns of telescopes: ``[[type, "LST_*", 10.0], ...]``. On the
    mirror of an MST falls half the light of an LST, and its pixels are 1.7 times as wide: what
    counts light or pixels is scaled by that. The shadow of its camera is larger, for its mirror.
    """

    picture_threshold = FloatTelescopeParameter(
        default_value=10.0,
        help="p.e., of the cleaning: pixels above it with two neighbours above it",
    ).tag(config=True)
    boundary_threshold = FloatTelescopeParameter(
        default_value=5.0, help="p.e., neighbours of these"
    ).tag(config=True)
    min_pixels = IntTelescopeParameter(
        default_value=_of_sizes(50, 20), help="Cleaned pixels on the ring"
    ).tag(config=True)
    min_light = FloatTelescopeParameter(
        default_value=_of_sizes(500.0, 250.0), help="p.e. on the ring"
    ).tag(config=True)
    min_radius_in_deg = FloatTelescopeParameter(default_value=0.8, help="Smallest ring").tag(
        config=True
    )
    max_radius_in_deg = FloatTelescopeParameter(default_value=1.4, help="Largest ring").tag(
        config=True
    )
    min_impact = FloatTelescopeParameter(
        default_value=_of_sizes(0.1, 0.45),
        help="Mirror radii: nearer than 1.5 radii of the shadow, its rim is not resolved",
    ).tag(config=True)
    max_impact = FloatTelescopeParameter(default_value=0.9, help="Mirror radii").tag(config=True)
    max_width_in_deg = FloatTelescopeParameter(default_value=0.12, help="Widest ring (sigma)").tag(
        config=True
    )
    min_containment = FloatTelescopeParameter(
        default_value=0.9, help="Part of the ring in the camera"
    ).tag(config=True)
    min_completeness = FloatTelescopeParameter(
        default_value=_of_sizes(0.5, 0.33), help="Part of the azimuth with light"
    ).tag(config=True)
    completeness_threshold = FloatTelescopeParameter(
        default_value=_of_sizes(30.0, 15.0), help="p.e. in a bin of 12 degrees that count as light"
    ).tag(config=True)
    min_intensity_ratio = FloatTelescopeParameter(
        default_value=0.8, help="Light on the ring over all cleaned light"
    ).tag(config=True)
    max_reduced_chi2 = FloatTelescopeParameter(
        default_value=2.0, help="Of the fit of the light"
    ).tag(config=True)
    max_saturated = FloatTelescopeParameter(
        default_value=0.02, help="Part of the ring's pixels"
    ).tag(config=True)
    max_unusable = FloatTelescopeParameter(default_value=0.2, help="Part of the ring's pixels").tag(
        config=True
    )
    hole_radius_in_m = FloatTelescopeParameter(
        default_value=NOT_KNOWN,
        help="Disc that shadows as much as the camera, or the hole in the mirror where that is not "
        "known; -1: that of the telescope's size (LST 0.74, MST 1.64, SST 0.38)",
    ).tag(config=True)
    coma = FloatTelescopeParameter(
        default_value=NOT_KNOWN,
        help="Shift of the centroid over the field angle, which the fit of the light takes into "
        "account; -1: 1 - f/f_eff of the telescope's description (f_eff not known: 0); 0: none",
    ).tag(config=True)
    focus_distance_in_m = FloatTelescopeParameter(
        default_value=float("inf"),
        help="Of the object that is sharp in the camera (LST: 10 km is usual), whose blur of rings "
        "goes against that of coma",
    ).tag(config=True)
    squared_excess_noise_factor = FloatTelescopeParameter(
        default_value=1.222, help="F², of the charges' variance (weights only)"
    ).tag(config=True)

    def cuts(self, tel_id: int) -> "RingCuts":
        """Cuts of a telescope."""
        from ..throughput.muon_rings import RingCuts

        def of(name: str) -> Any:
            return getattr(self, name).tel[tel_id]

        return RingCuts(
            picture=of("picture_threshold"),
            boundary=of("boundary_threshold"),
            min_pixels=of("min_pixels"),
            min_light=of("min_light"),
            radius=(of("min_radius_in_deg"), of("max_radius_in_deg")),
            impact=(of("min_impact"), of("max_impact")),
            width=(0.0, of("max_width_in_deg")),
            min_containment=of("min_containment"),
            min_completeness=of("min_completeness"),
            completeness_threshold=of("completeness_threshold"),
            min_intensity_ratio=of("min_intensity_ratio"),
            max_reduced_chi2=of("max_reduced_chi2"),
            max_saturated=of("max_saturated"),
            max_unusable=of("max_unusable"),
        )

    def spe_width(self, tel_id: int) -> float:
        """Relative standard deviation of the charge of single photoelectrons."""
        return float(np.sqrt(self.squared_excess_noise_factor.tel[tel_id] - 1))

    def mirror(self, tel_id: int, extinction: float) -> "Mirror":
        """Mirror of a telescope under air of an extinction (1/m)."""
        import astropy.units as u

        from ..throughput.muon_intensity import Mirror

        telescope = self.subarray.tel[tel_id]
        optics, name = telescope.optics, f"telescope {tel_id} ({telescope})"
        # sim_telarray of old counts one mirror of a Schwarzschild-Couder telescope
        is_dual = optics.reflector_shape.name == "SCHWARZSCHILD_COUDER"
        n_mirrors = 2 if is_dual else optics.n_mirrors
        require(
            n_mirrors == 1,
            f"{name} has {n_mirrors} mirrors: muon rings of telescopes with two are not "
            "understood; leave it out of the telescopes of the throughput",
        )
        area = optics.mirror_area
        require(
            area is not None and area > 0 * u.m**2,
            f"the description of {name} has no mirror area ({area}): photons on its mirror cannot "
            "be counted; set CTAPIPE_SVC_PATH to service data that have it",
        )
        size = getattr(optics.size_type, "value", optics.size_type)
        hole = self.hole_radius_in_m.tel[tel_id]
        hole = HOLE_RADIUS_IN_M.get(size, NOT_KNOWN) if hole == NOT_KNOWN else hole
        require(
            hole >= 0,
            f"{name} of size {size}: the shadow of its camera is not known; give "
            "MuonSettings.hole_radius_in_m (0 for none)",
        )
        radius = float(np.sqrt(area.to_value(u.m**2) / np.pi))
        focus = self.focus_distance_in_m.tel[tel_id]
        require(
            focus > 0,
            f"MuonSettings.focus_distance_in_m of {name} is {focus:g}; give a distance, or .inf",
        )
        coma = self.coma_of(tel_id)
        return Mirror(radius, hole, extinction, coma=coma, focus_distance=focus)

    def coma_of(self, tel_id: int) -> float:
        """Coma of a telescope."""
        from ..pointing.coma_psf import coma_of_optics

        coma, optics = self.coma.tel[tel_id], self.subarray.tel[tel_id].optics
        if coma != NOT_KNOWN:
            require(
                0 <= coma < 0.5,
                f"MuonSettings.coma of telescope {tel_id} is {coma:g}; give a number from 0 to "
                "below 0.5, or -1 for that of its focal lengths",
            )
            return coma
        known = np.isfinite(optics.effective_focal_length)
        return float(coma_of_optics(optics)) if known else 0.0
