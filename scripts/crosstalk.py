"""Rule crosstalk."""

from calibpipe.tools.calculate_crosstalk import CalculateCrosstalk
from calibpipe.tools.step import run_step

run_step(
    CalculateCrosstalk,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.params.obs_id,
    photon_transfer=snakemake.input.photon_transfer,
    output=snakemake.output.product,
)
