"""Rule meteo_data."""

from calibpipe.tools.retrieve_meteo_data import RetrieveMeteoData
from calibpipe.tools.step import run_step

run_step(
    RetrieveMeteoData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    category=snakemake.wildcards.category,
    cache=snakemake.params.cache,
    input=snakemake.input.get("files") or snakemake.params.pattern,
    output=snakemake.output.product,
)
