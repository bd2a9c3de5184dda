"""Cross-talk between the pixels of one telescope."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .event_files import EventFilesTool
from .night_tool import require

KIND = "camera/crosstalk"
PAIRS_GROUP = "/calibpipe/camera/crosstalk"


class CalculateCrosstalk(EventFilesTool):
    """Calculate which part of the charge of a pixel its neighbours see.

    From events in which single pixels are lit (illumination: every direction, 0.1 % in 1000 events
    of 100 p.e.), or from the covariance of the photon noise in flat fields (covariance: the mean of
    both directions, 0.2 % need 62 500 events). Both need pedestals in the same run. The parts are
    in ADC, or in photoelectrons with the gains of --photon-transfer.
    """

    name = "calibpipe-calculate-crosstalk"
    description = __doc__
    examples = """
    calibpipe-calculate-crosstalk --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --index array/dl0_index.ecsv --dl0-root simulated --telescope LSTN-01 --obs-id 110 \\
        --photon-transfer LSTN-01/camera/photon_transfer.h5 \\
        --output LSTN-01/camera/crosstalk.h5
    """

    method = traits.CaselessStrEnum(
        ["illumination", "covariance"], "illumination", help="Of single pixels, or of flat fields"
    ).tag(config=True)
    event_type = traits.Unicode(
        "", help="Type of the events; not given: OTHER_CALIBRATION, or FLATFIELD for covariances"
    ).tag(config=True)
    pedestal_type = traits.CaselessStrEnum(
        ["PEDESTAL", "DARK_PEDESTAL", "SKY_PEDESTAL"], "SKY_PEDESTAL", help="Pedestals of the run"
    ).tag(config=True)
    window_start = traits.Int(13, min=0, help="First sample of the fixed window").tag(config=True)
    window_width = traits.Int(12, min=1, help="Samples that are integrated").tag(config=True)
    channel = traits.Int(0, min=0, help="Gain channel that is looked at").tag(config=True)
    saturation_in_adc = traits.Float(4000.0, help="Sample above which an event is left out").tag(
        config=True
    )
    min_events = traits.Int(20, min=2, help="Events that a lit pixel needs").tag(config=True)
    photon_transfer = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Product with the gains"
    ).tag(config=True)
    validity_in_days = traits.Float(365.0, min=0.5, help="From the begin of the run").tag(
        config=True
    )

    aliases: ClassVar[dict] = EventFilesTool.aliases | {
        "method": "CalculateCrosstalk.method",
        "photon-transfer": "CalculateCrosstalk.photon_transfer",
    }

    def start(self) -> None:
        """Read the events, calculate, write."""
        from tqdm import tqdm

        from ..camera.crosstalk_events import run_crosstalk
        from ..core.dl0_camera import camera_configuration
        from ..core.telescope import telescope_subarray

        self.load_site()
        paths = self.event_files()
        tel_id = camera_configuration(paths[0]).tel_id
        subarray = telescope_subarray(tel_id)
        self.require_telescope(subarray.name, tel_id)
        geometry = subarray.tel[tel_id].camera.geometry
        gain = self.gain(tel_id)
        with tqdm(unit=" events", desc=self.telescope or None, disable=None) as progress:
            found = run_crosstalk(
                paths,
                geometry.neighbor_matrix_sparse,
                self.positions(geometry),
                self.settings(),
                relative_gain=gain,
                progress=progress.update,
                is_checked=self.is_checked,
            )
        for path in paths:
            self.add_input(path, "dl0/events")
        self.write(found, subarray)

    def positions(self, geometry: Any) -> tuple[Any, Any]:
        """Of the pixels, in distances of neighbours."""
        import numpy as np

        x, y = geometry.pix_x.to_value("m"), geometry.pix_y.to_value("m")
        i, k = geometry.neighbor_matrix_sparse.nonzero()
        pitch = np.median(np.hypot(x[i] - x[k], y[i] - y[k]))
        return x / pitch, y / pitch

    def gain(self, tel_id: int) -> Any:
        """Gain of each pixel over the median; 1 without a product or without a number."""
        import numpy as np

        from ..core.telescope_file import read_telescope_table
        from .calculate_photon_transfer import KIND as TRANSFER
        from .calculate_photon_transfer import PIXELS_GROUP

        if self.photon_transfer is None:
            return 1.0
        path = self.add_input(self.photon_transfer, TRANSFER)
        gains = np.asarray(read_telescope_table(path, PIXELS_GROUP, tel_id, TRANSFER)["gain"][0])
        require(
            self.channel < len(gains),
            f"channel is {self.channel}, {path} has {len(gains)} gain channels",
        )
        gain = gains[self.channel] / np.nanmedian(gains[self.channel])
        return np.where(np.isfinite(gain), gain, 1.0)

    def settings(self) -> Any:
        """Settings of the configuration."""
        from ..camera.crosstalk_events import CrosstalkSettings

        usual = "OTHER_CALIBRATION" if self.method == "illumination" else "FLATFIELD"
        return CrosstalkSettings(
            method=self.method,
            event_type=self.event_type or usual,
            pedestal_type=self.pedestal_type,
            window_start=self.window_start,
            window_width=self.window_width,
            channel=self.channel,
            saturation=self.saturation_in_adc,
            min_events=self.min_events,
        )

    def write(self, found: Any, subarray: Any) -> None:
        """One row a pair of neighbours."""
        from dataclasses import asdict

        import astropy.units as u
        import numpy as np
        from astropy.table import Table
        from astropy.time import Time

        from ..core.telescope_file import write_telescope_tables

        pairs, camera = found.crosstalk, found.camera
        begin = Time(found.time_start, format="unix_tai", scale="tai")
        table = Table(
            {
                "pixel": pairs.pixel.astype(np.int32),
                "source": pairs.source.astype(np.int32),
                "crosstalk": pairs.crosstalk.astype(np.float32),
                "stat_error": pairs.stat_error.astype(np.float32),
                "sys_error": pairs.sys_error.astype(np.float32),
                "n_events": pairs.n_events.astype(np.int32),
            }
        )
        known = np.isfinite(pairs.crosstalk)
        remarks = found.report.remarks()
        if found.n_left_out:
            remarks = [
                *remarks,
                f"{found.n_left_out} of {found.n_events} events are saturated, or not of one pixel",
            ]
        metadata = self.metadata(
            KIND,
            f"Cross-talk of {subarray.name}, observation {camera.obs_id}",
            validity=(begin, begin + self.validity_in_days * u.day),
            details={
                "tel_id": camera.tel_id,
                "array_element": subarray.name,
                "sb_id": camera.sb_id,
                "obs_id": camera.obs_id,
                "extraction": asdict(self.settings()),
                "has_direction": pairs.has_direction,
                "unit": "p.e." if self.photon_transfer else "ADC",
                "n_events": found.n_events,
                "n_pedestals": found.n_pedestals,
                "n_unknown_pairs": int(np.count_nonzero(~known)),
                "mean": float(np.mean(pairs.crosstalk[known])),
                "remarks": remarks,
            },
        )
        write_telescope_tables(self.output, subarray, camera.tel_id, {PAIRS_GROUP: table}, metadata)
        self.add_output(self.output, KIND)
        for remark in remarks:
            self.log.warning("%s", remark)
        self.log.info(
            "%s: %d pairs, mean %.4f, error of a pair %.4f",
            self.output,
            np.count_nonzero(known),
            np.mean(pairs.crosstalk[known]),
            np.median(pairs.stat_error[known]),
        )


def main() -> None:
    """Run the Tool."""
    CalculateCrosstalk().run()
