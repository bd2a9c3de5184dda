"""Rule simulated_allsky."""

from calibpipe.tools.simulate_allsky_data import SimulateAllskyData
from calibpipe.tools.step import run_step

run_step(
    SimulateAllskyData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    output=snakemake.output.data,
)
