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
        version=step_version("simulate_meteo_data"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: simulate meteorological data"
    script:
        "../scripts/simulated_meteo_data.py"


rule simulated_dl0:
    input:
        site=site_file,
        config=tool_config("produce_camcalib_test_data"),
    output:
        **drives_of_simulation(),
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
        stars=wanted("pointing"),
        version=step_version("produce_camcalib_test_data"),
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
        version=step_version("simulate_dl2_data"),
    message:
        "{wildcards.night} {wildcards.site}: simulate DL2 of the array"
    script:
        "../scripts/simulated_dl2.py"


rule simulated_fram:
    input:
        site=site_file,
        config=tool_config("simulate_fram_data"),
    output:
        data=f"{SIMULATED_MONITORING}/fram.fits",
        truth=f"{SIMULATED_MONITORING}/fram.truth.ecsv",
        provenance=f"{SIMULATED_MONITORING}/fram.provenance.json",
    log:
        "logs/{site}/simulation/{night}/fram.log",
    benchmark:
        "logs/{site}/simulation/{night}/fram.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("simulate_fram_data"),
    message:
        "{wildcards.night} {wildcards.site}: simulate FRAM"
    script:
        "../scripts/simulated_fram.py"


rule simulated_lidar:
    input:
        site=site_file,
        config=tool_config("simulate_lidar_data"),
        density_profile=f"{NIGHT}/atmosphere/density_profile.ecsv",
    output:
        data=f"{NIGHT}/simulation/lidar.nc",
        truth=f"{NIGHT}/simulation/lidar.truth.ecsv",
        provenance=f"{NIGHT}/simulation/lidar.provenance.json",
    log:
        f"{LOG}/simulation/lidar.log",
    benchmark:
        f"{LOG}/simulation/lidar.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("simulate_lidar_data"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: simulate the LIDAR"
    script:
        "../scripts/simulated_lidar.py"


rule simulated_allsky:
    input:
        site=site_file,
        config=tool_config("simulate_allsky_data"),
    output:
        data=f"{SIMULATED_MONITORING}/allsky.fits",
        truth=f"{SIMULATED_MONITORING}/allsky.truth.ecsv",
        provenance=f"{SIMULATED_MONITORING}/allsky.provenance.json",
    log:
        "logs/{site}/simulation/{night}/allsky.log",
    benchmark:
        "logs/{site}/simulation/{night}/allsky.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("simulate_allsky_data"),
    message:
        "{wildcards.night} {wildcards.site}: simulate the all-sky camera"
    script:
        "../scripts/simulated_allsky.py"


rule simulated_trigger_rates:
    input:
        site=site_file,
        config=tool_config("simulate_trigger_rates"),
        telescopes=simulated_throughput,
    output:
        data=f"{SIMULATED_MONITORING}/trigger_rates.ecsv",
        truth=f"{SIMULATED_MONITORING}/trigger_rates.truth.ecsv",
        provenance=f"{SIMULATED_MONITORING}/trigger_rates.provenance.json",
    log:
        "logs/{site}/simulation/{night}/trigger_rates.log",
    benchmark:
        "logs/{site}/simulation/{night}/trigger_rates.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        is_reference=lambda wildcards: is_reference_night(wildcards),
        version=step_version("simulate_trigger_rates"),
    message:
        "{wildcards.night} {wildcards.site}: simulate trigger rates"
    script:
        "../scripts/simulated_trigger_rates.py"
