# One observing night in, verified and reproducible calibration out.
# Settings that are science: config/. Settings that are not: profiles/.
from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config/config.yaml")


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs/calibration_sets.smk"
include: "rules/inputs/dl0.smk"
include: "rules/inputs/camera.smk"
include: "rules/inputs/atmosphere.smk"
include: "rules/inputs/aerosol.smk"
include: "rules/inputs/array.smk"
include: "rules/inputs/pointing.smk"
include: "rules/inputs/report.smk"
include: "rules/simulation.smk"
include: "rules/atmosphere.smk"
include: "rules/aerosol.smk"
include: "rules/camera.smk"
include: "rules/calibration_sets.smk"
include: "rules/throughput.smk"
include: "rules/pointing.smk"
include: "rules/array.smk"
include: "rules/verification.smk"
include: "rules/certification.smk"
include: "rules/report.smk"
include: "rules/quick_look.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        every_night("atmosphere/meteo_data.json", unless="reference_model_by_date"),
        every_night("atmosphere/macobac.ecsv"),
        every_night("atmosphere/density_profile.ecsv", unless="reference_model_by_date"),
        every_night("atmosphere/reference_model.ecsv"),
        every_night("atmosphere/atmospheric_model.ecsv"),
        every_night("atmosphere/rayleigh_extinction.ecsv"),
        every_aerosol_night("clear_night"),
        every_aerosol_night("lidar"),
        every_aerosol_night("allsky"),
        every_aerosol_night("transparency_coefficient"),
        every_aerosol_night("observation_conditions"),
        *every_block("{tel}/camera/pixel_statistics.{block}.h5", "camera"),
        *every_block("{tel}/camera/coefficients.{block}.h5", "camera"),
        *every_exclusion("{tel}/camera/excluded_pixels.h5"),
        *every_block(
            "{tel}/throughput/muon_rings.{block}.h5",
            "throughput",
            of_night=muon_blocks,
        ),
        *every_telescope("{tel}/throughput/muon_throughput.h5", "throughput"),
        *every_telescope("{tel}/throughput/muon_psf.h5", "throughput"),
        every_night("certification/atmosphere.json", domains=["atmosphere", "archive"]),
        every_certified_aerosol(),
        *every_block(
            "certification/camera_coefficients.{tel}.{block}.json", "camera", "archive"
        ),
        *every_exclusion("certification/excluded_pixels.{tel}.json", "archive"),
        *every_telescope(
            "certification/muon_throughput.{tel}.json", "throughput", "archive"
        ),
        *every_telescope("certification/muon_psf.{tel}.json", "throughput", "archive"),
        *every_block(
            "{tel}/throughput/illuminator_throughput.{block}.h5",
            "throughput",
            of_night=illuminator_blocks,
        ),
        *every_block(
            "certification/illuminator_throughput.{tel}.{block}.json",
            "throughput",
            "archive",
            of_night=illuminator_blocks,
        ),
        *every_block(
            "{tel}/pointing/star_tracking.{block}.h5", "pointing", of_night=muon_blocks
        ),
        *every_block(
            "{tel}/pointing/star_psf.{block}.h5", "pointing", of_night=muon_blocks
        ),
        *every_pointing_model("{tel}/pointing/pointing_model.h5"),
        *every_block(
            "certification/star_tracking.{tel}.{block}.json",
            "pointing",
            "archive",
            of_night=muon_blocks,
        ),
        *every_block(
            "certification/star_psf.{tel}.{block}.json",
            "pointing",
            "archive",
            of_night=muon_blocks,
        ),
        *every_pointing_model("certification/pointing_model.{tel}.json"),
        *every_set("{tel}/camera/run_statistics.{block}.h5"),
        *every_set("{tel}/camera/{dedicated}.h5"),
        *every_pde("{tel}/camera/pde.ecsv"),
        *every_set("certification/{dedicated}.{tel}.json"),
        *every_pde("certification/pde.{tel}.json"),
        every_array_block("array/energy_asymmetry.{block}.h5"),
        every_array_block("array/image_asymmetry.{block}.h5"),
        every_array_night("array/inter_calibration.h5"),
        every_array_night("array/cross_calibration.h5"),
        every_array_night("array/timing.h5"),
        every_array_night("certification/array.json", "archive"),
        every_night("report/index.html"),
        every_trends_page(),
    message:
        "every night that was asked for is calibrated"


onsuccess:
    report_what_is_complete()


onerror:
    report_what_failed()
