"""Rule star_tracking."""

from calibpipe.tools.star_tracking import StarTracking
from calibpipe.tools.step import run_step

run_step(
    StarTracking,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.wildcards.block.removeprefix("OBSID"),
    coefficients=snakemake.input.coefficients,
    archive=snakemake.params.archive,
    density_profile=snakemake.input.get("density_profile"),
    pointing=snakemake.params.drive,
    output=snakemake.output.product,
)
