"""Rules verified_...: one product of any kind."""

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
    output=snakemake.output.product,
)
