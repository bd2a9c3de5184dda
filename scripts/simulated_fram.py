"""Rule simulated_fram."""

from calibpipe.tools.simulate_fram_data import SimulateFramData
from calibpipe.tools.step import run_step

run_step(
    SimulateFramData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    output=snakemake.output.data,
)
