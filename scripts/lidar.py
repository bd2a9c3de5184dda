"""Rule lidar."""

from calibpipe.tools.process_lidar import ProcessLidar
from calibpipe.tools.step import run_step

run_step(
    ProcessLidar,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    density_profile=snakemake.input.density_profile,
    input=list(snakemake.input.data),
    output=snakemake.output.product,
)
