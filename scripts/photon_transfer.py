"""Rule photon_transfer."""

from calibpipe.tools.calculate_photon_transfer import CalculatePhotonTransfer
from calibpipe.tools.step import run_step

run_step(
    CalculatePhotonTransfer,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.scan),
    dark=snakemake.input.dark,
    runs=snakemake.input.runs,
    single_photoelectron=snakemake.input.single_photoelectron,
    output=snakemake.output.product,
)
