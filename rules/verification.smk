"""Every product against the numbered limits of config/criteria.yaml.

Inputs: products of the night, what they were made from, the certified ones of nights before.
Outputs: verification records, one a product. A failed verdict is no failed job. What is certified
together is verified in one job, into a folder of records.
"""


rule verified_atmosphere:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=atmosphere_products,
    output:
        folder=directory(f"{NIGHT}/verification/atmosphere"),
        provenance=f"{NIGHT}/verification/atmosphere.provenance.json",
    log:
        f"{LOG}/verification/atmosphere.log",
    benchmark:
        f"{LOG}/verification/atmosphere.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: verify the atmosphere"
    script:
        "../scripts/verified.py"


rule verified_aerosol:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=aerosol_products,
    output:
        folder=directory(f"{NIGHT}/verification/aerosol"),
        provenance=f"{NIGHT}/verification/aerosol.provenance.json",
    log:
        f"{LOG}/verification/aerosol.log",
    benchmark:
        f"{LOG}/verification/aerosol.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: verify aerosols and clouds"
    script:
        "../scripts/verified.py"


rule verified_camera:
    input:
        before=sets_before,
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=rules.camera_coefficients.output.product,
        data=rules.pixel_statistics.output.product,
    output:
        product=f"{NIGHT}/verification/camera_coefficients.{{tel}}.{{block}}.json",
        provenance=f"{NIGHT}/verification/camera_coefficients.{{tel}}.{{block}}.provenance.json",
    log:
        f"{LOG}/verification/camera_coefficients.{{tel}}.{{block}}.log",
    benchmark:
        f"{LOG}/verification/camera_coefficients.{{tel}}.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: verify coefficients"
    script:
        "../scripts/verified.py"


rule verified_excluded_pixels:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=rules.excluded_pixels.output.product,
    output:
        product=f"{NIGHT}/verification/excluded_pixels.{{tel}}.json",
        provenance=f"{NIGHT}/verification/excluded_pixels.{{tel}}.provenance.json",
    log:
        f"{LOG}/verification/excluded_pixels.{{tel}}.log",
    benchmark:
        f"{LOG}/verification/excluded_pixels.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: verify excluded pixels"
    script:
        "../scripts/verified.py"


rule verified_calibration_set:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=dedicated_product,
    output:
        product=f"{NIGHT}/verification/{{dedicated}}.{{tel}}.json",
        provenance=f"{NIGHT}/verification/{{dedicated}}.{{tel}}.provenance.json",
    log:
        f"{LOG}/verification/{{dedicated}}.{{tel}}.log",
    benchmark:
        f"{LOG}/verification/{{dedicated}}.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: verify {wildcards.dedicated}"
    script:
        "../scripts/verified.py"


rule verified_throughput:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=f"{NIGHT}/{{tel}}/throughput/{{quantity}}.h5",
        data=muon_rings_of_night,
    output:
        product=f"{NIGHT}/verification/{{quantity}}.{{tel}}.json",
        provenance=f"{NIGHT}/verification/{{quantity}}.{{tel}}.provenance.json",
    log:
        f"{LOG}/verification/{{quantity}}.{{tel}}.log",
    benchmark:
        f"{LOG}/verification/{{quantity}}.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: verify {wildcards.quantity}"
    script:
        "../scripts/verified.py"


rule verified_illuminator:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=rules.illuminator_throughput.output.product,
    output:
        product=f"{NIGHT}/verification/illuminator_throughput.{{tel}}.{{block}}.json",
        provenance=f"{NIGHT}/verification/illuminator_throughput.{{tel}}.{{block}}.provenance.json",
    log:
        f"{LOG}/verification/illuminator_throughput.{{tel}}.{{block}}.log",
    benchmark:
        f"{LOG}/verification/illuminator_throughput.{{tel}}.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: verify flashes"
    script:
        "../scripts/verified.py"


rule verified_array:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=array_products,
    output:
        folder=directory(f"{NIGHT}/verification/array"),
        provenance=f"{NIGHT}/verification/array.provenance.json",
    log:
        f"{LOG}/verification/array.log",
    benchmark:
        f"{LOG}/verification/array.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: verify the array"
    script:
        "../scripts/verified.py"


rule verified_pointing:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=f"{NIGHT}/{{tel}}/pointing/{{stars}}.{{block}}.h5",
    output:
        product=f"{NIGHT}/verification/{{stars}}.{{tel}}.{{block}}.json",
        provenance=f"{NIGHT}/verification/{{stars}}.{{tel}}.{{block}}.provenance.json",
    log:
        f"{LOG}/verification/{{stars}}.{{tel}}.{{block}}.log",
    benchmark:
        f"{LOG}/verification/{{stars}}.{{tel}}.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: verify {wildcards.stars}"
    script:
        "../scripts/verified.py"


rule verified_pointing_model:
    input:
        site=site_file,
        config=tool_config("verify"),
        criteria=str(CONFIG / "criteria.yaml"),
        archive=archive_of_site,
        product=rules.pointing_model.output.product,
    output:
        product=f"{NIGHT}/verification/pointing_model.{{tel}}.json",
        provenance=f"{NIGHT}/verification/pointing_model.{{tel}}.provenance.json",
    log:
        f"{LOG}/verification/pointing_model.{{tel}}.log",
    benchmark:
        f"{LOG}/verification/pointing_model.{{tel}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("verify"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: verify the pointing model"
    script:
        "../scripts/verified.py"
