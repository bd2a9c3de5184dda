"""Rule cross_calibration."""

from calibpipe.tools.cross_calibration import CrossCalibration
from calibpipe.tools.step import run_step

run_step(
    CrossCalibration,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.asymmetries),
    muon=list(snakemake.input.muons),
    output=snakemake.output.product,
)
