"""Rule simulated_calibration_runs."""

from calibpipe.core.telescope import array_element_id
from calibpipe.tools.simulate_calibration_runs import SimulateCalibrationRuns
from calibpipe.tools.step import run_step

run_step(
    SimulateCalibrationRuns,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    tel_id=[array_element_id(name) for name in snakemake.params.telescopes],
    output_folder=snakemake.params.folder,
)
