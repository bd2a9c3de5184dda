"""Rule energy_asymmetry."""

from calibpipe.tools.energy_asymmetry_estimation import EnergyAsymmetryEstimation
from calibpipe.tools.step import run_step

run_step(
    EnergyAsymmetryEstimation,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.events),
    output=snakemake.output.product,
)
