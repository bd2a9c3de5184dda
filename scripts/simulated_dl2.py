"""Rule simulated_dl2."""

from pathlib import Path

from calibpipe.tools.simulate_dl2_data import SimulateDl2Data
from calibpipe.tools.step import run_step

folder = snakemake.input.get("muons")
truth = sorted(Path(folder).rglob("*.muon_truth.ecsv")) if folder else []
run_step(
    SimulateDl2Data,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    muon_truth=truth,
    output_folder=Path(snakemake.output.truth).parents[3],
)
