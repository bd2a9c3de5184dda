"""Rules certified_...: products of any kind with their verification."""

from calibpipe.tools.certify import Certify
from calibpipe.tools.step import run_step


def files(named):
    """One file or several."""
    return [named] if isinstance(named, str) else list(named)


night = f"night {snakemake.wildcards.night}, category {snakemake.wildcards.category}"
run_step(
    Certify,
    snakemake,
    archive=snakemake.params.location,
    product=files(snakemake.input.products),
    verification=files(snakemake.input.verification),
    reason=f"workflow, {night}",
    **snakemake.params.decision,
    record=snakemake.output.product,
)
