"""Rule illuminator_throughput."""

from calibpipe.tools.calculate_throughput_illuminator import CalculateThroughputIlluminator
from calibpipe.tools.step import run_step

run_step(
    CalculateThroughputIlluminator,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.wildcards.block.removeprefix("OBSID"),
    coefficients=snakemake.input.coefficients,
    source=snakemake.params.source,
    event_type=snakemake.params.event_type,
    output=snakemake.output.product,
)
