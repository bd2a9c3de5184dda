"""Optical throughput and point spread function, telescope by telescope.

Inputs: DL0 muon events with the coefficients of their block, the night's atmosphere; flashes of an
illuminator in the observations that the configuration names.
Outputs: {tel}/throughput/muon_rings, muon_throughput, muon_psf; illuminator_throughput;
array/throughput_history, what is certified of the nights before.
"""


rule muon_rings:
    input:
        site=site_file,
        config=tool_config("calculate_muon_rings"),
        index=ancient(f"{NIGHT}/array/dl0_index.ecsv"),
        events=event_files,
        coefficients=rules.camera_coefficients.output.product,
        statistics=rules.pixel_statistics.output.product,
        extinction=rules.atmospheric_model.output.extinction,
    output:
        product=f"{NIGHT}/{{tel}}/throughput/muon_rings.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/throughput/muon_rings.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/throughput/muon_rings.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/throughput/muon_rings.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=dl0_root,
        version=step_version("calculate_muon_rings"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: muon rings"
    script:
        "../scripts/muon_rings.py"


rule muon_throughput:
    input:
        site=site_file,
        config=tool_config("calculate_throughput_muon"),
        rings=muon_rings_of_night,
        atmosphere=rules.atmospheric_model.output.product,
        extinction=rules.atmospheric_model.output.extinction,
        response=config["throughput"]["spectral_response"] or [],
    output:
        product=f"{NIGHT}/{{tel}}/throughput/muon_throughput.h5",
        provenance=f"{NIGHT}/{{tel}}/throughput/muon_throughput.provenance.json",
    log:
        f"{LOG}/{{tel}}/throughput/muon_throughput.log",
    benchmark:
        f"{LOG}/{{tel}}/throughput/muon_throughput.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("calculate_throughput_muon"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: throughput from muon rings"
    script:
        "../scripts/muon_throughput.py"


rule muon_psf:
    input:
        site=site_file,
        config=tool_config("calculate_psf_muon"),
        rings=muon_rings_of_night,
        atmosphere=rules.atmospheric_model.output.product,
    output:
        product=f"{NIGHT}/{{tel}}/throughput/muon_psf.h5",
        provenance=f"{NIGHT}/{{tel}}/throughput/muon_psf.provenance.json",
    log:
        f"{LOG}/{{tel}}/throughput/muon_psf.log",
    benchmark:
        f"{LOG}/{{tel}}/throughput/muon_psf.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("calculate_psf_muon"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: optical point spread function"
    script:
        "../scripts/muon_psf.py"


rule illuminator_throughput:
    input:
        site=site_file,
        config=tool_config("calculate_throughput_illuminator"),
        index=ancient(f"{NIGHT}/array/dl0_index.ecsv"),
        events=event_files,
        coefficients=illuminator_coefficients,
        source=illuminator_source,
    output:
        product=f"{NIGHT}/{{tel}}/throughput/illuminator_throughput.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/throughput/illuminator_throughput.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/throughput/illuminator_throughput.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/throughput/illuminator_throughput.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=dl0_root,
        source=lambda wildcards: illuminator_run(wildcards)["source"],
        event_type=lambda wildcards: illuminator_run(wildcards).get("event_type", ""),
        version=step_version("calculate_throughput_illuminator"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: illuminator"
    script:
        "../scripts/illuminator_throughput.py"


rule throughput_history:
    input:
        site=site_file,
        config=tool_config("collect_throughput_history"),
        archive=archive_of_site,
    output:
        product=f"{NIGHT}/array/throughput_history.ecsv",
        provenance=f"{NIGHT}/array/throughput_history.provenance.json",
    log:
        f"{LOG}/array/throughput_history.log",
    benchmark:
        f"{LOG}/array/throughput_history.benchmark.tsv"
    priority: 10  # before anything of the same run is certified: the same history every time
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("collect_throughput_history"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: throughput of the nights before"
    script:
        "../scripts/throughput_history.py"
