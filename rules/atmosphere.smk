"""The molecular atmosphere of a night.

Inputs: meteorological archives (or files), CO2 at Mauna Loa, the pool of reference atmospheres.
Outputs: meteo_data, macobac, density_profile, reference_model, atmospheric_model with atmprof.dat,
rayleigh_extinction with atm_trans.dat.
"""


rule meteo_data:
    input:
        site=site_file,
        config=tool_config("retrieve_meteo_data"),
        files=meteo_files,
    output:
        product=f"{NIGHT}/atmosphere/meteo_data.json",
        provenance=f"{NIGHT}/atmosphere/meteo_data.provenance.json",
    log:
        f"{LOG}/atmosphere/meteo_data.log",
    benchmark:
        f"{LOG}/atmosphere/meteo_data.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        cds=int(config["meteo"]["source"] == "archive"),
    params:
        cache=config["data_roots"]["meteo"],
        pattern=meteo_pattern,
        version=step_version("retrieve_meteo_data"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: meteorological data"
    script:
        "../scripts/meteo_data.py"


rule macobac:
    input:
        site=site_file,
        config=tool_config("calculate_macobac"),
        file=config["co2"]["file"] or [],
    output:
        product=f"{NIGHT}/atmosphere/macobac.ecsv",
        provenance=f"{NIGHT}/atmosphere/macobac.provenance.json",
    log:
        f"{LOG}/atmosphere/macobac.log",
    benchmark:
        f"{LOG}/atmosphere/macobac.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        cache=config["data_roots"]["co2"],
        online=config["co2"]["online"],
        version=step_version("calculate_macobac"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: CO2 concentration"
    script:
        "../scripts/macobac.py"


rule density_profile:
    input:
        site=site_file,
        config=tool_config("create_molecular_density_profile"),
        meteo_data=rules.meteo_data.output.product,
        macobac=rules.macobac.output.product,
    output:
        product=f"{NIGHT}/atmosphere/density_profile.ecsv",
        provenance=f"{NIGHT}/atmosphere/density_profile.provenance.json",
    log:
        f"{LOG}/atmosphere/density_profile.log",
    benchmark:
        f"{LOG}/atmosphere/density_profile.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("create_molecular_density_profile"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: molecular density profile"
    script:
        "../scripts/density_profile.py"


rule reference_model:
    input:
        site=site_file,
        config=tool_config("select_reference_atmospheric_model"),
        models=reference_models,
        density_profile=density_profile,
    output:
        product=f"{NIGHT}/atmosphere/reference_model.ecsv",
        provenance=f"{NIGHT}/atmosphere/reference_model.provenance.json",
    log:
        f"{LOG}/atmosphere/reference_model.log",
    benchmark:
        f"{LOG}/atmosphere/reference_model.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        pool=lambda wildcards: reference_pool(wildcards.site),
        fallback_reason=lambda wildcards: override(
            wildcards.site, wildcards.night, "reference_model_by_date"
        ),
        version=step_version("select_reference_atmospheric_model"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: reference atmosphere"
    script:
        "../scripts/reference_model.py"


rule atmospheric_model:
    input:
        site=site_file,
        config=tool_config("create_molecular_atmospheric_model"),
        density_profile=density_profile,
        reference_model=rules.reference_model.output.product,
        macobac=rules.macobac.output.product,
    output:
        product=f"{NIGHT}/atmosphere/atmospheric_model.ecsv",
        extinction=f"{NIGHT}/atmosphere/rayleigh_extinction.ecsv",
        atmprof=f"{NIGHT}/atmosphere/atmprof.dat",
        atm_trans=f"{NIGHT}/atmosphere/atm_trans.dat",
        provenance=f"{NIGHT}/atmosphere/atmospheric_model.provenance.json",
    log:
        f"{LOG}/atmosphere/atmospheric_model.log",
    benchmark:
        f"{LOG}/atmosphere/atmospheric_model.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("create_molecular_atmospheric_model"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: atmospheric model and extinction"
    script:
        "../scripts/atmospheric_model.py"
