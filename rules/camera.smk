"""The cameras of a night, telescope by telescope and observation block by observation block.

Inputs: DL0 events of the observatory; decisions of operators; certified excluded pixels of the
nights before.
Outputs: array/dl0_index, {tel}/camera/pixel_statistics, {tel}/camera/coefficients of each
observation block; {tel}/camera/excluded_pixels of the night.
"""


checkpoint dl0_index:
    input:
        site=site_file,
        config=tool_config("index_dl0"),
        dl0=dl0_folders,
    output:
        product=f"{NIGHT}/array/dl0_index.ecsv",
        provenance=f"{NIGHT}/array/dl0_index.provenance.json",
    log:
        f"{LOG}/array/dl0_index.log",
    benchmark:
        f"{LOG}/array/dl0_index.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=dl0_root,
        telescopes=lambda wildcards: telescopes(wildcards.site),
        blocks=config["dl0"]["blocks"],
        version=step_version("index_dl0"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: which DL0 files there are"
    script:
        "../scripts/dl0_index.py"


rule pixel_statistics:
    input:
        site=site_file,
        config=tool_config("calculate_pixel_statistics"),
        index=ancient(f"{NIGHT}/array/dl0_index.ecsv"),  # the files count, not their list
        events=event_files,
    output:
        product=f"{NIGHT}/{{tel}}/camera/pixel_statistics.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/pixel_statistics.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/pixel_statistics.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/pixel_statistics.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=dl0_root,
        version=step_version("calculate_pixel_statistics"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: pixel statistics"
    script:
        "../scripts/pixel_statistics.py"


rule camera_coefficients:
    input:
        site=site_file,
        config=tool_config("calculate_camcalib_coefficients"),
        statistics=rules.pixel_statistics.output.product,
    output:
        product=f"{NIGHT}/{{tel}}/camera/coefficients.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/coefficients.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/coefficients.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/coefficients.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("calculate_camcalib_coefficients"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: coefficients"
    script:
        "../scripts/camera_coefficients.py"


rule excluded_pixels:
    input:
        site=site_file,
        config=tool_config("select_excluded_pixels"),
        coefficients=coefficients_of_night,
        photon_transfer=evidence_of_set("photon_transfer"),
        crosstalk=evidence_of_set("crosstalk"),
        single_photoelectron=evidence_of_set("single_photoelectron"),
        verification=verdicts_of_set,
        overrides=ancient(str(CONFIG / "pixel_overrides.yaml")),  # the decisions count
        archive=archive_of_site,
        before=exclusion_before,
    output:
        product=f"{NIGHT}/{{tel}}/camera/excluded_pixels.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/excluded_pixels.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/excluded_pixels.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/excluded_pixels.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        decisions=decisions_on_pixels,
        version=step_version("select_excluded_pixels"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: excluded pixels"
    script:
        "../scripts/excluded_pixels.py"
