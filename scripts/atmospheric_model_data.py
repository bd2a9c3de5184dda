"""Rule atmospheric_model_data."""

from calibpipe.tools.step import run_step
from calibpipe.tools.upload_atmospheric_model_data import UploadAtmosphericModelData

run_step(
    UploadAtmosphericModelData,
    snakemake,
    archive=snakemake.params.location,
    model=list(snakemake.input.models),
    reason="reference atmospheres of the workflow",
    record=snakemake.output.product,
)
