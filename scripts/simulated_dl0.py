"""Rule simulated_dl0."""

from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData
from calibpipe.tools.step import run_step

run_step(
    ProduceCamcalibTestData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    tel_id=snakemake.wildcards.tel[-2:].lstrip("0"),
    output_folder=snakemake.params.folder,
)
