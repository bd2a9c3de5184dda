"""Rule pedestal."""

from calibpipe.tools.calculate_pedestal import CalculatePedestal
from calibpipe.tools.step import run_step

run_step(
    CalculatePedestal,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    dark=snakemake.input.dark,
    sky=list(snakemake.input.sky),
    photon_transfer=snakemake.input.photon_transfer,
    archive=snakemake.params.archive,
    output=snakemake.output.product,
)
