"""Rule camera_coefficients."""

from calibpipe.tools.calculate_camcalib_coefficients import CalculateCamcalibCoefficients
from calibpipe.tools.step import run_step

run_step(
    CalculateCamcalibCoefficients,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=snakemake.input.statistics,
    output=snakemake.output.product,
)
