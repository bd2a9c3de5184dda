"""Rule allsky."""

from calibpipe.tools.process_allsky import ProcessAllsky
from calibpipe.tools.step import run_step

run_step(
    ProcessAllsky,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.data),
    output=snakemake.output.product,
)
