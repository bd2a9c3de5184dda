"""Rule muon_throughput."""

from calibpipe.tools.calculate_throughput_muon import CalculateThroughputMuon
from calibpipe.tools.step import run_step

run_step(
    CalculateThroughputMuon,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    input=list(snakemake.input.rings),
    atmosphere=snakemake.input.atmosphere,
    extinction=snakemake.input.extinction,
    spectral_response=snakemake.input.get("response"),
    output=snakemake.output.product,
)
