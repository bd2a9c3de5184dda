"""Rule image_asymmetry."""

from calibpipe.tools.image_asymmetry_estimation import ImageAsymmetryEstimation
from calibpipe.tools.step import run_step

run_step(
    ImageAsymmetryEstimation,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.events),
    output=snakemake.output.product,
)
