"""Rule throughput_history."""

from calibpipe.tools.collect_throughput_history import CollectThroughputHistory
from calibpipe.tools.step import run_step

run_step(
    CollectThroughputHistory,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    archive=snakemake.params.archive,
    output=snakemake.output.product,
)
