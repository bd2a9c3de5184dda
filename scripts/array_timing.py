"""Rule array_timing."""

from calibpipe.tools.calculate_array_timing import CalculateArrayTiming
from calibpipe.tools.step import run_step

run_step(
    CalculateArrayTiming,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.events),
    output=snakemake.output.product,
)
