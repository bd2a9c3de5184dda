"""Rule macobac."""

from calibpipe.tools.calculate_macobac import CalculateMacobac
from calibpipe.tools.step import run_step

run_step(
    CalculateMacobac,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.get("files", [])),
    cache=snakemake.params.cache,
    output=snakemake.output.product,
)
