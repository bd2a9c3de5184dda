"""A night with known truth, where no observatory delivers one.

Outputs: simulation/meteo.grib and its truth; DL0 of an observation block of all telescopes and its
truth, DL2 of the array and its truth, which are the same for all categories.
"""


rule simulated_meteo_data:
    input:
        site=site_file,
        config=tool_config("simulate_meteo_data"),
    output:
        meteo=f"{NIGHT}/simulation/meteo.grib",
        truth=f"{NIGHT}/simulation/meteo.truth.ecsv",
        provenance=f"{NIGHT}/simulation/meteo.provenance.json",
    log:
        f"{LOG}/simulation/meteo.log",
    benchmark:
        f"{LOG}/simulation/meteo.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=VERSION,
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: simulate meteorological data"
    script:
        "../scripts/simulated_meteo_data.py"


rule simulated_dl0:
    input:
        site=site_file,
        config=tool_config("produce_camcalib_test_data"),
    output:
        dl0=directory(f"{SIMULATION}/DL0"),
        truth=directory(f"{SIMULATION}/truth"),
        provenance=f"{SIMULATION}/provenance/dl0.json",
    log:
        "logs/{site}/simulation/{night}/dl0.log",
    benchmark:
        "logs/{site}/simulation/{night}/dl0.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        folder=lambda wildcards: SIMULATION.format(**wildcards),
        telescopes=lambda wildcards: telescopes(wildcards.site),
        version=VERSION,
    message:
        "{wildcards.night} {wildcards.site}: simulate DL0 of an observation block"
    script:
        "../scripts/simulated_dl0.py"


rule simulated_dl2:
    input:
        site=site_file,
        config=tool_config("simulate_dl2_data"),
        muons=simulated_throughput,
    output:
        events=[
            f"{SIMULATED_DL2}/events.OBSID{block:05d}.dl2.h5"
            for block in SIMULATED_BLOCKS
        ],
        truth=f"{SIMULATED_DL2}/truth.ecsv",
        provenance=f"{SIMULATED_DL2}/provenance.json",
    log:
        "logs/{site}/simulation/{night}/dl2.log",
    benchmark:
        "logs/{site}/simulation/{night}/dl2.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=VERSION,
    message:
        "{wildcards.night} {wildcards.site}: simulate DL2 of the array"
    script:
        "../scripts/simulated_dl2.py"
