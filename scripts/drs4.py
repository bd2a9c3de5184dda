"""Rule drs4."""

from calibpipe.tools.calculate_drs4_corrections import CalculateDrs4Corrections
from calibpipe.tools.step import run_step

run_step(
    CalculateDrs4Corrections,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.params.obs_id,
    flatfield_obs_id=snakemake.params.flatfield,
    output=snakemake.output.product,
)
