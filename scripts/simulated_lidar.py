"""Rule simulated_lidar."""

from calibpipe.tools.simulate_lidar_data import SimulateLidarData
from calibpipe.tools.step import run_step

run_step(
    SimulateLidarData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    density_profile=snakemake.input.density_profile,
    output=snakemake.output.data,
)
