"""Rule dl0_index."""

from calibpipe.tools.index_dl0 import IndexDl0
from calibpipe.tools.step import run_step

run_step(
    IndexDl0,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    dl0_root=snakemake.params.root,
    telescopes=snakemake.params.telescopes,
    blocks=snakemake.params.blocks,
    output=snakemake.output.product,
)
