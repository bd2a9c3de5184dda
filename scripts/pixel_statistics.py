"""Rule pixel_statistics."""

from calibpipe.tools.calculate_pixel_statistics import CalculatePixelStatistics
from calibpipe.tools.step import run_step

run_step(
    CalculatePixelStatistics,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.wildcards.block.removeprefix("OBSID"),
    output=snakemake.output.product,
)
