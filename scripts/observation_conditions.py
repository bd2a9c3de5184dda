"""Rule observation_conditions."""

from calibpipe.tools.select_observation_conditions import SelectObservationConditions
from calibpipe.tools.step import run_step

run_step(
    SelectObservationConditions,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    density_profile=snakemake.input.density_profile,
    clear_night=snakemake.input.get("clear_night"),
    lidar=snakemake.input.get("lidar"),
    allsky=snakemake.input.get("allsky"),
    transparency=snakemake.input.get("transparency"),
    output=snakemake.output.product,
)
