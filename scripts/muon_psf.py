"""Rule muon_psf."""

from calibpipe.tools.calculate_psf_muon import CalculatePsfMuon
from calibpipe.tools.step import run_step

run_step(
    CalculatePsfMuon,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.rings),
    atmosphere=snakemake.input.atmosphere,
    output=snakemake.output.product,
)
