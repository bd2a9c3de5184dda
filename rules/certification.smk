"""Into the calibration archive: what passed its verification, with the time for which it holds.

Inputs: products of the night and their verification records.
Outputs: records of what was certified and what was refused; the archive itself is no output, since
it outlives the results.
"""


rule calibration_archive:
    input:
        config=tool_config("init_db"),
    output:
        product="results/archive/archive.json",
        provenance="results/archive/archive.provenance.json",
    log:
        "logs/archive/archive.log",
    benchmark:
        "logs/archive/archive.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        database=config["archive"]["database"],
    message:
        "the calibration archive"
    script:
        "../scripts/calibration_archive.py"


rule observatory_data:
    input:
        site=site_file,
        config=tool_config("upload_observatory_data"),
        archive=rules.calibration_archive.output.product,
    output:
        product="results/archive/{site}/observatory_data.json",
        provenance="results/archive/{site}/observatory_data.provenance.json",
    log:
        "logs/archive/{site}/observatory_data.log",
    benchmark:
        "logs/archive/{site}/observatory_data.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
    message:
        "{wildcards.site}: site and telescopes into the archive"
    script:
        "../scripts/observatory_data.py"


rule atmospheric_model_data:
    input:
        config=tool_config("upload_atmospheric_model_data"),
        models=reference_models,
        observatory=rules.observatory_data.output.product,
    output:
        product="results/archive/{site}/atmospheric_model_data.json",
        provenance="results/archive/{site}/atmospheric_model_data.provenance.json",
    log:
        "logs/archive/{site}/atmospheric_model_data.log",
    benchmark:
        "logs/archive/{site}/atmospheric_model_data.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
    message:
        "{wildcards.site}: reference atmospheres into the archive"
    script:
        "../scripts/atmospheric_model_data.py"


rule certified_atmosphere:
    input:
        config=tool_config("certify"),
        archive=rules.atmospheric_model_data.output.product,
        products=atmosphere_products,
        verification=rules.verified_atmosphere.output.folder,
    output:
        product=f"{NIGHT}/certification/atmosphere.json",
        provenance=f"{NIGHT}/certification/atmosphere.provenance.json",
    log:
        f"{LOG}/certification/atmosphere.log",
    benchmark:
        f"{LOG}/certification/atmosphere.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: certify the atmosphere"
    script:
        "../scripts/certified.py"


rule certified_aerosol:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=aerosol_products,
        verification=rules.verified_aerosol.output.folder,
    output:
        product=f"{NIGHT}/certification/aerosol.json",
        provenance=f"{NIGHT}/certification/aerosol.provenance.json",
    log:
        f"{LOG}/certification/aerosol.log",
    benchmark:
        f"{LOG}/certification/aerosol.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: certify aerosols and clouds"
    script:
        "../scripts/certified.py"


rule certified_camera:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=rules.camera_coefficients.output.product,
        verification=f"{NIGHT}/verification/camera_coefficients.{{tel}}.{{block}}.json",
    output:
        product=f"{NIGHT}/certification/camera_coefficients.{{tel}}.{{block}}.json",
        provenance=f"{NIGHT}/certification/camera_coefficients.{{tel}}.{{block}}.provenance.json",
    log:
        f"{LOG}/certification/camera_coefficients.{{tel}}.{{block}}.log",
    benchmark:
        f"{LOG}/certification/camera_coefficients.{{tel}}.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: certify coefficients"
    script:
        "../scripts/certified.py"


rule certified_excluded_pixels:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=rules.excluded_pixels.output.product,
        verification=rules.verified_excluded_pixels.output.product,
    output:
        product=f"{NIGHT}/certification/excluded_pixels.{{tel}}.json",
        provenance=f"{NIGHT}/certification/excluded_pixels.{{tel}}.provenance.json",
    log:
        f"{LOG}/certification/excluded_pixels.{{tel}}.log",
    benchmark:
        f"{LOG}/certification/excluded_pixels.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: certify excluded pixels"
    script:
        "../scripts/certified.py"


rule certified_calibration_set:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=dedicated_product,
        verification=rules.verified_calibration_set.output.product,
        before=dedicated_before,
    output:
        product=f"{NIGHT}/certification/{{dedicated}}.{{tel}}.json",
        provenance=f"{NIGHT}/certification/{{dedicated}}.{{tel}}.provenance.json",
    log:
        f"{LOG}/certification/{{dedicated}}.{{tel}}.log",
    benchmark:
        f"{LOG}/certification/{{dedicated}}.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        # a new set goes in front of the one before, which holds for a month or longer
        decision=lambda wildcards: certification_override(wildcards)
        | {"supersede": True},
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: certify {wildcards.dedicated}"
    script:
        "../scripts/certified.py"


rule certified_throughput:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=f"{NIGHT}/{{tel}}/throughput/{{quantity}}.h5",
        verification=rules.verified_throughput.output.product,
    output:
        product=f"{NIGHT}/certification/{{quantity}}.{{tel}}.json",
        provenance=f"{NIGHT}/certification/{{quantity}}.{{tel}}.provenance.json",
    log:
        f"{LOG}/certification/{{quantity}}.{{tel}}.log",
    benchmark:
        f"{LOG}/certification/{{quantity}}.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: certify {wildcards.quantity}"
    script:
        "../scripts/certified.py"


rule certified_illuminator:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=rules.illuminator_throughput.output.product,
        verification=rules.verified_illuminator.output.product,
    output:
        product=f"{NIGHT}/certification/illuminator_throughput.{{tel}}.{{block}}.json",
        provenance=f"{NIGHT}/certification/illuminator_throughput.{{tel}}.{{block}}.provenance.json",
    log:
        f"{LOG}/certification/illuminator_throughput.{{tel}}.{{block}}.log",
    benchmark:
        f"{LOG}/certification/illuminator_throughput.{{tel}}.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: certify flashes"
    script:
        "../scripts/certified.py"


rule certified_array:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=array_products,
        verification=rules.verified_array.output.folder,
    output:
        product=f"{NIGHT}/certification/array.json",
        provenance=f"{NIGHT}/certification/array.provenance.json",
    log:
        f"{LOG}/certification/array.log",
    benchmark:
        f"{LOG}/certification/array.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: certify the array"
    script:
        "../scripts/certified.py"


rule certified_pointing:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=f"{NIGHT}/{{tel}}/pointing/{{stars}}.{{block}}.h5",
        verification=rules.verified_pointing.output.product,
    output:
        product=f"{NIGHT}/certification/{{stars}}.{{tel}}.{{block}}.json",
        provenance=f"{NIGHT}/certification/{{stars}}.{{tel}}.{{block}}.provenance.json",
    log:
        f"{LOG}/certification/{{stars}}.{{tel}}.{{block}}.log",
    benchmark:
        f"{LOG}/certification/{{stars}}.{{tel}}.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        decision=certification_override,
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: certify {wildcards.stars}"
    script:
        "../scripts/certified.py"


rule certified_pointing_model:
    input:
        config=tool_config("certify"),
        archive=rules.observatory_data.output.product,
        products=rules.pointing_model.output.product,
        verification=rules.verified_pointing_model.output.product,
    output:
        product=f"{NIGHT}/certification/pointing_model.{{tel}}.json",
        provenance=f"{NIGHT}/certification/pointing_model.{{tel}}.provenance.json",
    log:
        f"{LOG}/certification/pointing_model.{{tel}}.log",
    benchmark:
        f"{LOG}/certification/pointing_model.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    resources:
        archive_writer=ARCHIVE_WRITER,
    params:
        location=config["archive"]["location"],
        # a new model goes in front of the one before, which holds for 30 days
        decision=lambda wildcards: certification_override(wildcards)
        | {"supersede": True},
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: certify the pointing model"
    script:
        "../scripts/certified.py"
