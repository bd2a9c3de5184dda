"""What the air holds besides its molecules: aerosols and clouds.

Inputs: FRAM, LIDAR, all-sky camera and trigger rates of the night (data_roots.monitoring, or
simulated), those that there are; the night's density profile; muon throughputs and gains.
Outputs: atmosphere/clear_night, lidar, allsky, transparency_coefficient, and what they say together,
observation_conditions.
"""


rule clear_night:
    input:
        site=site_file,
        config=tool_config("clear_night_assessment"),
        data=monitoring_data("fram"),
    output:
        product=f"{NIGHT}/atmosphere/clear_night.ecsv",
        provenance=f"{NIGHT}/atmosphere/clear_night.provenance.json",
    log:
        f"{LOG}/atmosphere/clear_night.log",
    benchmark:
        f"{LOG}/atmosphere/clear_night.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("clear_night_assessment"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: clear night?"
    script:
        "../scripts/clear_night.py"


rule lidar:
    input:
        site=site_file,
        config=tool_config("process_lidar"),
        density_profile=f"{NIGHT}/atmosphere/density_profile.ecsv",
        data=monitoring_data("lidar"),
    output:
        product=f"{NIGHT}/atmosphere/lidar.ecsv",
        provenance=f"{NIGHT}/atmosphere/lidar.provenance.json",
    log:
        f"{LOG}/atmosphere/lidar.log",
    benchmark:
        f"{LOG}/atmosphere/lidar.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("process_lidar"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: LIDAR"
    script:
        "../scripts/lidar.py"


rule allsky:
    input:
        site=site_file,
        config=tool_config("process_allsky"),
        data=monitoring_data("allsky"),
    output:
        product=f"{NIGHT}/atmosphere/allsky.ecsv",
        provenance=f"{NIGHT}/atmosphere/allsky.provenance.json",
    log:
        f"{LOG}/atmosphere/allsky.log",
    benchmark:
        f"{LOG}/atmosphere/allsky.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("process_allsky"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: all-sky camera"
    script:
        "../scripts/allsky.py"


rule transparency_coefficient:
    input:
        site=site_file,
        config=tool_config("calculate_transparency_coefficient"),
        rates=monitoring_data("trigger_rates"),
        muons=muons_for_transparency,
        coefficients=gains_for_transparency,
        references=reference_transparencies,
    output:
        product=f"{NIGHT}/atmosphere/transparency_coefficient.ecsv",
        provenance=f"{NIGHT}/atmosphere/transparency_coefficient.provenance.json",
    log:
        f"{LOG}/atmosphere/transparency_coefficient.log",
    benchmark:
        f"{LOG}/atmosphere/transparency_coefficient.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        reference_night=lambda wildcards: is_reference_night(wildcards),
        version=step_version("calculate_transparency_coefficient"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: Cherenkov transparency coefficient"
    script:
        "../scripts/transparency_coefficient.py"


rule observation_conditions:
    input:
        site=site_file,
        config=tool_config("select_observation_conditions"),
        density_profile=f"{NIGHT}/atmosphere/density_profile.ecsv",
        clear_night=monitoring_product("clear_night"),
        lidar=monitoring_product("lidar"),
        allsky=monitoring_product("allsky"),
        transparency=monitoring_product("transparency_coefficient"),
    output:
        product=f"{NIGHT}/atmosphere/observation_conditions.h5",
        provenance=f"{NIGHT}/atmosphere/observation_conditions.provenance.json",
    log:
        f"{LOG}/atmosphere/observation_conditions.log",
    benchmark:
        f"{LOG}/atmosphere/observation_conditions.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("select_observation_conditions"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: aerosols, clouds, good time"
    script:
        "../scripts/observation_conditions.py"
