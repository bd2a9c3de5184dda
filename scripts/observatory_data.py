"""Rule observatory_data."""

from calibpipe.tools.step import run_step
from calibpipe.tools.upload_observatory_data import UploadObservatoryData

run_step(
    UploadObservatoryData,
    snakemake,
    archive=snakemake.params.location,
    site=snakemake.input.site,
    reason="configuration of the workflow",
    record=snakemake.output.product,
)
