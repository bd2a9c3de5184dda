"""Rule reference_model."""

from calibpipe.tools.select_reference_atmospheric_model import SelectReferenceAtmosphericModel
from calibpipe.tools.step import run_step

run_step(
    SelectReferenceAtmosphericModel,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    pool=snakemake.params.pool,
    density_profile=snakemake.input.get("density_profile"),
    fallback_reason=snakemake.params.fallback_reason,
    output=snakemake.output.product,
)
