"""Import of a photon detection efficiency from a laboratory."""

from typing import Any, ClassVar

from ctapipe.core import traits

from .night_tool import NightTool, require

KIND = "camera/photon_detection_efficiency"


class ImportPde(NightTool):
    """Import the photon detection efficiency of a telescope's camera, measured in a laboratory.

    The table (ECSV: wavelength and incidence_angle with units, pde, pde_error absolute) is checked,
    sorted, and written as a product with its origin: who has measured it, when, at which
    temperature, where it is published.
    """

    name = "calibpipe-import-pde"
    description = __doc__
    examples = """
    calibpipe-import-pde --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --telescope LSTN-01 --input R11920-100.ecsv --origin "Hamamatsu, batch 12" \\
        --measured 2015-03-01 --output LSTN-01/camera/photon_detection_efficiency.ecsv
    """

    input_file = traits.Path(
        None, allow_none=True, exists=None, directory_ok=False, help="Table (ECSV)"
    ).tag(config=True)
    telescope = traits.Unicode("", help="Array element, such as LSTN-01").tag(config=True)
    origin = traits.Unicode("", help="Laboratory, sample").tag(config=True)
    measured = traits.Unicode("", help="Date of the measurement, YYYY-MM-DD").tag(config=True)
    reference = traits.Unicode("", help="Publication, such as a DOI").tag(config=True)
    temperature_in_celsius = traits.Float(
        None, allow_none=True, help="Of the sensor; silicon needs it"
    ).tag(config=True)
    overvoltage_in_volt = traits.Float(None, allow_none=True, help="Of silicon").tag(config=True)
    validity_in_days = traits.Float(365.0, min=0.5, help="From dusk of the night").tag(config=True)

    aliases: ClassVar[dict] = NightTool.aliases | {
        ("i", "input"): "ImportPde.input_file",
        "telescope": "ImportPde.telescope",
        "origin": "ImportPde.origin",
        "measured": "ImportPde.measured",
        "reference": "ImportPde.reference",
    }
    required: ClassVar[tuple[str, ...]] = (
        *NightTool.required,
        "input_file",
        "telescope",
        "origin",
        "measured",
    )

    def start(self) -> None:
        """Read, check, write."""
        import astropy.units as u

        from ..camera.photon_detection_efficiency import checked_table
        from ..core.ecsv_input import read_ecsv
        from ..core.night import astronomical_night
        from ..core.products import write_table
        from ..core.telescope import array_element_id

        site = self.load_site()
        tel_id = array_element_id(self.telescope)
        self.check_date()
        path = self.add_input(self.input_file, "camera/pde_measurement")
        table = checked_table(read_ecsv(path, "photon detection efficiency"), str(path))
        night = astronomical_night(self.night, site)
        metadata = self.metadata(
            KIND,
            f"Photon detection efficiency of {self.telescope}",
            validity=(night.dusk, night.dusk + self.validity_in_days * u.day),
            details=self.provenance(tel_id),
        )
        write_table(self.output, table, metadata)
        self.add_output(self.output, KIND)

    def check_date(self) -> None:
        """Measured on a day that there is."""
        from datetime import date

        try:
            date.fromisoformat(self.measured)
        except ValueError:
            require(False, f"measured is {self.measured!r}, needs a date YYYY-MM-DD")

    def provenance(self, tel_id: int) -> dict[str, Any]:
        """Where the numbers come from."""
        return {
            "tel_id": tel_id,
            "array_element": self.telescope,
            "origin": self.origin,
            "measured": self.measured,
            "reference": self.reference,
            "temperature_in_celsius": self.temperature_in_celsius,
            "overvoltage_in_volt": self.overvoltage_in_volt,
        }


def main() -> None:
    """Run the Tool."""
    ImportPde().run()
