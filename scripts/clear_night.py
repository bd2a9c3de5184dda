"""Rule clear_night."""

from calibpipe.tools.clear_night_assessment import ClearNightAssessment
from calibpipe.tools.step import run_step

run_step(
    ClearNightAssessment,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.data),
    output=snakemake.output.product,
)
