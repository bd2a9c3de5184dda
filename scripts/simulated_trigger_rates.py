"""Rule simulated_trigger_rates."""

from pathlib import Path

from calibpipe.tools.simulate_trigger_rates import SimulateTriggerRates
from calibpipe.tools.step import run_step

folder = snakemake.input.get("telescopes")
truth = Path(folder) if folder else Path()
run_step(
    SimulateTriggerRates,
    snakemake,
    site=snakemake.input.site,
    night=snakemake.wildcards.night,
    muon_truth=sorted(truth.rglob("*.muon_truth.ecsv")) if folder else [],
    camera_truth=sorted(truth.rglob("*.camera_truth.ecsv")) if folder else [],
    clear=snakemake.params.is_reference,
    output=snakemake.output.data,
)
