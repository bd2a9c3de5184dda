"""Rule macobac."""

from calibpipe.tools.calculate_macobac import CalculateMacobac
from calibpipe.tools.step import run_step

run_step(
    CalculateMacobac,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=snakemake.input.get("file"),
    cache=snakemake.params.cache,
    **{"online" if snakemake.params.online else "offline": True},
    output=snakemake.output.product,
)
