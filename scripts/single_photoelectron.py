"""Rule single_photoelectron."""

from calibpipe.tools.fit_single_photoelectron import FitSinglePhotoelectron
from calibpipe.tools.step import run_step

run_step(
    FitSinglePhotoelectron,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.params.obs_id,
    high_voltage_obs_id=snakemake.params.high_voltage,
    dark_obs_id=snakemake.params.dark,
    output=snakemake.output.product,
)
