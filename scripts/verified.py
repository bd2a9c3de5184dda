"""Rules verified_...: one product, or those that are certified together."""

from calibpipe.tools.step import run_step
from calibpipe.tools.verify import Verify

run_step(
    Verify,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    criteria=snakemake.input.criteria,
    product=snakemake.input.product,
    data=snakemake.input.get("data"),
    archive=snakemake.params.archive,
    output=snakemake.output.get("product"),
    output_folder=snakemake.output.get("folder"),
)
