"""Rule density_profile."""

from calibpipe.tools.create_molecular_density_profile import CreateMolecularDensityProfile
from calibpipe.tools.step import run_step

run_step(
    CreateMolecularDensityProfile,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    meteo_data=snakemake.input.meteo_data,
    macobac=snakemake.input.macobac,
    output=snakemake.output.product,
)
