"""Rule inter_calibration."""

from calibpipe.tools.inter_calibration import InterCalibration
from calibpipe.tools.step import run_step

run_step(
    InterCalibration,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.asymmetries),
    output=snakemake.output.product,
)
