"""A night with known truth, where no observatory delivers one.

Outputs: simulation/meteo.grib and its truth.
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
