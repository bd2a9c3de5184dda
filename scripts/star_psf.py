"""Rule star_psf."""

from calibpipe.tools.calculate_psf_stars import CalculatePsfStars
from calibpipe.tools.step import run_step

run_step(
    CalculatePsfStars,
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
    muon_psf=list(snakemake.input.muon_psf),
    output=snakemake.output.product,
)
