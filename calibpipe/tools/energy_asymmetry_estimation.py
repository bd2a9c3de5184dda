"""Asymmetries of the energies that pairs of telescopes give to the same showers."""

from typing import ClassVar

from ctapipe.core import traits

from .asymmetry_tool import AsymmetryTool

KIND = "array/energy_asymmetry"


class EnergyAsymmetryEstimation(AsymmetryTool):
    """Compare the energies that telescopes reconstruct alone, pair by pair.

    Telescopes of any types. Events near the middle of a pair, selected by criteria that do not
    touch the energies of single telescopes; thresholds are on the mean of the pair. One product of
    an observation block; those of a night or of many nights are added by
    calibpipe-inter-calibration and calibpipe-cross-calibration.
    """

    name = "calibpipe-energy-asymmetry-estimation"
    description = __doc__
    examples = """
    calibpipe-energy-asymmetry-estimation --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input events.OBSID1.dl2.h5 --output array/energy_asymmetry.OBSID1.h5
    """
    kind = KIND

    energy_reconstructor = traits.Unicode(
        "RandomForestRegressor", help="Whose energies of single telescopes are compared"
    ).tag(config=True)

    aliases: ClassVar[dict] = AsymmetryTool.aliases | {
        "energy-reconstructor": "EnergyAsymmetryEstimation.energy_reconstructor",
    }

    def compared_column(self) -> str:
        """Energy of the telescope."""
        return f"{self.energy_reconstructor}_tel_energy"

    def needed_flags(self) -> tuple[str, ...]:
        """The reconstructor says itself whether its energy counts."""
        return (f"{self.energy_reconstructor}_tel_is_valid",)


def main() -> None:
    """Run the Tool."""
    EnergyAsymmetryEstimation().run()
