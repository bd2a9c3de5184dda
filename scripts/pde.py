"""Rule pde."""

from calibpipe.tools.import_pde import ImportPde
from calibpipe.tools.step import run_step

entry = snakemake.params.entry
run_step(
    ImportPde,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=entry["table"],
    telescope=snakemake.wildcards.tel,
    origin=entry["origin"],
    measured=entry["measured"],
    reference=entry.get("reference"),
    output=snakemake.output.product,
)
