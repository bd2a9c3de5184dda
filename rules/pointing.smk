"""Where the telescopes point, and how sharp they see, by the stars in their cameras.

Inputs: sky pedestals of the night's DL0, camera coefficients, records of the drives, the air at the
telescopes; certified photon transfer (gains) and star tracking of the nights before.
Outputs: {tel}/pointing/star_tracking and star_psf of each observation block; pointing_model of a
telescope after nights that are named in the configuration.
"""


rule star_tracking:
    input:
        site=site_file,
        config=tool_config("star_tracking"),
        index=ancient(f"{NIGHT}/array/dl0_index.ecsv"),  # the files count, not their list
        events=event_files,
        coefficients=rules.camera_coefficients.output.product,
        density_profile=density_profile,
        drive=drive_record,
        archive=archive_of_site,
        before=photon_transfer_before,
    output:
        product=f"{NIGHT}/{{tel}}/pointing/star_tracking.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/pointing/star_tracking.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/pointing/star_tracking.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/pointing/star_tracking.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=dl0_root,
        drive=drive_path,
        archive=archive_location,
        version=step_version("star_tracking"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: star tracking"
    script:
        "../scripts/star_tracking.py"


rule star_psf:
    input:
        site=site_file,
        config=tool_config("calculate_psf_stars"),
        index=ancient(f"{NIGHT}/array/dl0_index.ecsv"),
        events=event_files,
        coefficients=rules.camera_coefficients.output.product,
        density_profile=density_profile,
        drive=drive_record,
        archive=archive_of_site,
        before=photon_transfer_before,
        muon_psf=muon_psf_of_night,
    output:
        product=f"{NIGHT}/{{tel}}/pointing/star_psf.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/pointing/star_psf.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/pointing/star_psf.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/pointing/star_psf.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=dl0_root,
        drive=drive_path,
        archive=archive_location,
        version=step_version("calculate_psf_stars"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: point spread from stars"
    script:
        "../scripts/star_psf.py"


rule pointing_model:
    input:
        site=site_file,
        config=tool_config("fit_pointing_model"),
        certified=star_certifications,
    output:
        product=f"{NIGHT}/{{tel}}/pointing/pointing_model.h5",
        provenance=f"{NIGHT}/{{tel}}/pointing/pointing_model.provenance.json",
    log:
        f"{LOG}/{{tel}}/pointing/pointing_model.log",
    benchmark:
        f"{LOG}/{{tel}}/pointing/pointing_model.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("fit_pointing_model"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: pointing model of the nights before"
    script:
        "../scripts/pointing_model.py"
