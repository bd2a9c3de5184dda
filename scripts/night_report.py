"""Rule night_report."""

from calibpipe.tools.create_night_report import CreateNightReport
from calibpipe.tools.step import run_step

run_step(
    CreateNightReport,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    night_folder=snakemake.params.night_folder,
    log_folder=snakemake.params.log_folder,
    pool=snakemake.params.pool,
    trends=snakemake.params.trends,
    by_date=snakemake.params.by_date,
    camera=snakemake.params.camera,
    dedicated=[*snakemake.input.dedicated, *snakemake.input.excluded_pixels],
    calibration_runs=list(snakemake.params.calibration_runs),
    throughput=snakemake.params.throughput,
    illuminator=snakemake.params.illuminator,
    aerosol=list(snakemake.params.aerosol),
    pointing=snakemake.params.pointing,
    array=snakemake.params.array,
    output=snakemake.output.product,
)
