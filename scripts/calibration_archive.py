"""Rule calibration_archive."""

from calibpipe.tools.init_db import InitDb
from calibpipe.tools.step import run_step

run_step(
    InitDb,
    snakemake,
    archive=snakemake.params.location,
    database=snakemake.params.database,
    if_missing=True,
    record=snakemake.output.product,
)
