"""Rule atmospheric_model."""

from calibpipe.tools.create_molecular_atmospheric_model import CreateMolecularAtmosphericModel
from calibpipe.tools.step import run_step

run_step(
    CreateMolecularAtmosphericModel,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    density_profile=snakemake.input.get("density_profile"),
    reference_model=snakemake.input.reference_model,
    macobac=snakemake.input.macobac,
    output=snakemake.output.product,
    extinction_output=snakemake.output.extinction,
    atmprof_output=snakemake.output.atmprof,
    atm_trans_output=snakemake.output.atm_trans,
)
