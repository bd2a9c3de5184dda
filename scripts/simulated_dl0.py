"""Rule simulated_dl0."""

from calibpipe.core.telescope import array_element_id
from calibpipe.tools.produce_camcalib_test_data import ProduceCamcalibTestData
from calibpipe.tools.step import run_step

run_step(
    ProduceCamcalibTestData,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    tel_id=[array_element_id(name) for name in snakemake.params.telescopes],
    stars=snakemake.params.stars,
    output_folder=snakemake.params.folder,
)
