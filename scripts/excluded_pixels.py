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
    photon_transfer=snakemake.input.photon_transfer,
    crosstalk=snakemake.input.crosstalk,
    single_photoelectron=snakemake.input.single_photoelectron,
    verification=list(snakemake.input.verification),
    overrides=snakemake.input.overrides,
    archive=snakemake.params.archive,
    output=snakemake.output.product,
)
