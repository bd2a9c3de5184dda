"""Rule trends."""

from calibpipe.tools.create_trends import CreateTrends
from calibpipe.tools.step import run_step

run_step(
    CreateTrends,
    snakemake,
    archive=snakemake.params.location,
    site=snakemake.wildcards.site,
    results=snakemake.params.results,
    output=snakemake.output.product,
)
