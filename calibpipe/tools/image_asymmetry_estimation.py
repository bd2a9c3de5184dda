"""Asymmetries of the sizes of images that pairs of telescopes have of the same showers."""

from typing import ClassVar

from ctapipe.core import traits

from .asymmetry_tool import AsymmetryTool

KIND = "array/image_asymmetry"


class ImageAsymmetryEstimation(AsymmetryTool):
    """Compare the sizes of images, pair by pair, of telescopes of one type.

    Events at the same distance from both telescopes, within A + B cos(90 deg - zenith). Thresholds
    are on the mean of the pair. One product of an observation block; those of a night or of many
    nights are added by calibpipe-inter-calibration.
    """

    name = "calibpipe-image-asymmetry-estimation"
    description = __doc__
    examples = """
    calibpipe-image-asymmetry-estimation --site config/sites/CTAO-North.yaml --night 2024-07-10 \\
        --input events.OBSID1.dl2.h5 --output array/image_asymmetry.OBSID1.h5
    """
    kind = KIND
    same_type = True

    image_size = traits.Unicode("hillas_intensity", help="Column of DL1 parameters").tag(
        config=True
    )

    aliases: ClassVar[dict] = AsymmetryTool.aliases | {
        "image-size": "ImageAsymmetryEstimation.image_size",
    }

    def compared_column(self) -> str:
        """Size of the image."""
        return self.image_size


def main() -> None:
    """Run the Tool."""
    ImageAsymmetryEstimation().run()
