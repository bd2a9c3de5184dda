"""Rule pointing_model."""

from calibpipe.tools.fit_pointing_model import FitPointingModel
from calibpipe.tools.step import run_step

run_step(
    FitPointingModel,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    archive=snakemake.params.archive,
    telescope=snakemake.wildcards.tel,
    output=snakemake.output.product,
)
