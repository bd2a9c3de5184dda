"""Rule muon_rings."""

from calibpipe.tools.calculate_muon_rings import CalculateMuonRings
from calibpipe.tools.step import run_step

run_step(
    CalculateMuonRings,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    index=snakemake.input.index,
    dl0_root=snakemake.params.root,
    telescope=snakemake.wildcards.tel,
    obs_id=snakemake.wildcards.block.removeprefix("OBSID"),
    coefficients=snakemake.input.coefficients,
    statistics=snakemake.input.statistics,
    extinction=snakemake.input.extinction,
    output=snakemake.output.product,
)
