"""Rule excluded_pixels."""

from calibpipe.tools.select_excluded_pixels import SelectExcludedPixels
from calibpipe.tools.step import run_step

run_step(
    SelectExcludedPixels,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    coefficients=list(snakemake.input.coefficients),
    overrides=snakemake.input.overrides,
    archive=snakemake.params.archive,
    output=snakemake.output.product,
)
