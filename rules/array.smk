"""The array as a whole: relative throughputs and time offsets of telescopes from showers.

Inputs: DL2 files of the night's observation blocks (reconstructed elsewhere, or simulated).
Outputs: array/energy_asymmetry and array/image_asymmetry of each block; inter_calibration,
cross_calibration and timing of the night.
"""


rule energy_asymmetry:
    input:
        site=site_file,
        config=tool_config("energy_asymmetry_estimation"),
        events=dl2_of_block,
    output:
        product=f"{NIGHT}/array/energy_asymmetry.{{block}}.h5",
        provenance=f"{NIGHT}/array/energy_asymmetry.{{block}}.provenance.json",
    log:
        f"{LOG}/array/energy_asymmetry.{{block}}.log",
    benchmark:
        f"{LOG}/array/energy_asymmetry.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("energy_asymmetry_estimation"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.block} {wildcards.category}: asymmetry of energies"
    script:
        "../scripts/energy_asymmetry.py"


rule image_asymmetry:
    input:
        site=site_file,
        config=tool_config("image_asymmetry_estimation"),
        events=dl2_of_block,
    output:
        product=f"{NIGHT}/array/image_asymmetry.{{block}}.h5",
        provenance=f"{NIGHT}/array/image_asymmetry.{{block}}.provenance.json",
    log:
        f"{LOG}/array/image_asymmetry.{{block}}.log",
    benchmark:
        f"{LOG}/array/image_asymmetry.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("image_asymmetry_estimation"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.block} {wildcards.category}: asymmetry of images"
    script:
        "../scripts/image_asymmetry.py"


rule inter_calibration:
    input:
        site=site_file,
        config=tool_config("inter_calibration"),
        asymmetries=asymmetries_of_night("image"),
    output:
        product=f"{NIGHT}/array/inter_calibration.h5",
        provenance=f"{NIGHT}/array/inter_calibration.provenance.json",
    log:
        f"{LOG}/array/inter_calibration.log",
    benchmark:
        f"{LOG}/array/inter_calibration.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("inter_calibration"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: inter-calibration"
    script:
        "../scripts/inter_calibration.py"


rule cross_calibration:
    input:
        site=site_file,
        config=tool_config("cross_calibration"),
        asymmetries=asymmetries_of_night("energy"),
        muons=throughput_products("{tel}/throughput/muon_throughput.h5"),
    output:
        product=f"{NIGHT}/array/cross_calibration.h5",
        provenance=f"{NIGHT}/array/cross_calibration.provenance.json",
    log:
        f"{LOG}/array/cross_calibration.log",
    benchmark:
        f"{LOG}/array/cross_calibration.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("cross_calibration"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: cross-calibration"
    script:
        "../scripts/cross_calibration.py"


rule array_timing:
    input:
        site=site_file,
        config=tool_config("calculate_array_timing"),
        events=dl2_of_night,
    output:
        product=f"{NIGHT}/array/timing.h5",
        provenance=f"{NIGHT}/array/timing.provenance.json",
    log:
        f"{LOG}/array/timing.log",
    benchmark:
        f"{LOG}/array/timing.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("calculate_array_timing"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: array timing"
    script:
        "../scripts/array_timing.py"
