"""Rule transparency_coefficient."""

from calibpipe.tools.calculate_transparency_coefficient import CalculateTransparencyCoefficient
from calibpipe.tools.step import run_step

run_step(
    CalculateTransparencyCoefficient,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    rates=snakemake.input.rates,
    muon=list(snakemake.input.muons),
    coefficients=list(snakemake.input.coefficients),
    reference=list(snakemake.input.references),
    reference_night=snakemake.params.reference_night,
    output=snakemake.output.product,
)
