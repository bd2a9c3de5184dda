"""The page of a night, and that of a site over the nights.

Inputs: every product of the night; the calibration archive.
Outputs: report/index.html, trends/index.html: each one file that opens without network.
"""


rule night_report:
    input:
        site=site_file,
        config=tool_config("create_night_report"),
        products=[
            f"{NIGHT}/atmosphere/macobac.ecsv",
            f"{NIGHT}/atmosphere/reference_model.ecsv",
            f"{NIGHT}/atmosphere/atmospheric_model.ecsv",
            f"{NIGHT}/atmosphere/rayleigh_extinction.ecsv",
        ],
        meteo_data=meteo_data,
        density_profile=density_profile,
        models=reference_models,
        aerosol=aerosol_products,
        coefficients=camera_products("{tel}/camera/coefficients.{block}.h5"),
        excluded_pixels=exclusion_products("{tel}/camera/excluded_pixels.h5"),
        dedicated=dedicated_products,
        throughput=throughput_products("{tel}/throughput/muon_throughput.h5"),
        psf=throughput_products("{tel}/throughput/muon_psf.h5"),
        illuminator=illuminator_products(
            "{tel}/throughput/illuminator_throughput.{block}.h5"
        ),
        history=throughput_history,
        tracking=pointing_products("{tel}/pointing/star_tracking.{block}.h5"),
        star_psf=pointing_products("{tel}/pointing/star_psf.{block}.h5"),
        pointing_model=pointing_models("{tel}/pointing/pointing_model.h5"),
        array=array_products,
        certification=certification_records,
    output:
        product=report(
            f"{NIGHT}/report/index.html",
            caption="../workflow/report/night.rst",
            category="{site}",
            subcategory="Nights",
            labels={"night": "{night}", "category": "{category}"},
        ),
        provenance=f"{NIGHT}/report/report.provenance.json",
    log:
        f"{LOG}/report/report.log",
    benchmark:
        f"{LOG}/report/report.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        night_folder=lambda wildcards: NIGHT.format(**wildcards),
        log_folder=lambda wildcards: LOG.format(**wildcards),
        pool=lambda wildcards: reference_pool(wildcards.site),
        trends=lambda wildcards: trends_page(wildcards.site),
        by_date=lambda wildcards: bool(
            override(wildcards.site, wildcards.night, "reference_model_by_date")
        ),
        camera=lambda wildcards: wanted("camera") and bool(telescopes(wildcards.site)),
        calibration_runs=lambda wildcards: calibration_runs(
            wildcards.site, wildcards.night
        ),
        throughput=lambda wildcards: wanted("throughput")
        and bool(telescopes(wildcards.site)),
        pointing=lambda wildcards: wanted("pointing")
        and bool(telescopes(wildcards.site)),
        illuminator=lambda wildcards: list(
            runs_of_night(wildcards.site, wildcards.night)
        ),
        aerosol=expected_aerosol,
        array=lambda wildcards: bool(dl2_files(wildcards.site, wildcards.night)),
        version=step_version("create_night_report"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: report"
    script:
        "../scripts/night_report.py"


rule trends:
    input:
        config=tool_config("create_trends"),
        archive=rules.observatory_data.output.product,
        certification=certification_of_site,
        pages=pages_of_site,
    output:
        product=report(
            "results/{site}/trends/index.html",
            caption="../workflow/report/trends.rst",
            category="{site}",
            subcategory="Over the nights",
            labels={"page": "trends"},
        ),
        provenance="results/{site}/trends/trends.provenance.json",
    log:
        "logs/{site}/trends/trends.log",
    benchmark:
        "logs/{site}/trends/trends.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        location=config["archive"]["location"],
        results="results/{site}",
        version=step_version("create_trends"),
    message:
        "{wildcards.site}: trends over the nights"
    script:
        "../scripts/trends.py"
