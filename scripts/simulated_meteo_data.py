"""Rule simulated_meteo_data."""

from calibpipe.tools.simulate_meteo_data import SimulateMeteoData
from calibpipe.tools.step import run_step

run_step(
    SimulateMeteoData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    output=snakemake.output.meteo,
)
