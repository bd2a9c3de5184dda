"""What is calibrated of a night that is not over (calibpipe-follow-night).

Inputs: products of the observation blocks that are complete (dl0.blocks), and of the telescopes so
far. What needs the whole night is left to the run of the morning: excluded pixels, point spread
function of stars (it is compared with that of the night's muons), flashes, aerosols, the array. The
page is made of what there is, whatever failed.
"""


localrules:
    quick_look,


rule quick_look:
    input:
        *every_block("verification/camera_coefficients.{tel}.{block}.json", "camera"),
        *every_block(
            "certification/camera_coefficients.{tel}.{block}.json", "camera", "archive"
        ),
        *every_block(
            "{tel}/throughput/muon_rings.{block}.h5",
            "throughput",
            of_night=muon_blocks,
        ),
        *every_telescope("verification/muon_throughput.{tel}.json", "throughput"),
        *every_telescope("verification/muon_psf.{tel}.json", "throughput"),
        *every_block(
            "verification/star_tracking.{tel}.{block}.json",
            "pointing",
            of_night=muon_blocks,
        ),
    message:
        "what is complete of the night is calibrated"
