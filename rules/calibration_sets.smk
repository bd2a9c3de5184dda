"""Dedicated runs of cameras, each product with those before it: photoelectrons, transfer, pedestal, cross-talk; DRS4.

Inputs: DL0 of the runs and their table, or a simulation of them; measurements of laboratories.
Outputs: {tel}/camera/run_statistics, single_photoelectron, photon_transfer, pedestal, crosstalk,
drs4, pde.
"""


checkpoint simulated_calibration_runs:
    input:
        site=site_file,
        config=tool_config("simulate_calibration_runs"),
    output:
        dl0=directory(f"{SIMULATED_SETS}/DL0"),
        truth=directory(f"{SIMULATED_SETS}/truth"),
        runs=f"{SIMULATED_SETS}/calibration_runs.{{night}}.ecsv",
        provenance=f"{SIMULATED_SETS}/provenance/calibration_runs.json",
    log:
        "logs/{site}/simulation/{night}/calibration_runs.log",
    benchmark:
        "logs/{site}/simulation/{night}/calibration_runs.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        folder=lambda wildcards: SIMULATED_SETS.format(**wildcards),
        telescopes=lambda wildcards: telescopes_with(
            SETS, wildcards.site, wildcards.night
        ),
        version=step_version("simulate_calibration_runs"),
    message:
        "{wildcards.night} {wildcards.site}: simulate dedicated runs"
    script:
        "../scripts/simulated_calibration_runs.py"


rule calibration_runs_index:
    input:
        site=site_file,
        config=tool_config("index_dl0"),
        dl0=f"{SIMULATED_SETS}/DL0",
    output:
        product=f"{NIGHT}/array/calibration_runs_index.ecsv",
        provenance=f"{NIGHT}/array/calibration_runs_index.provenance.json",
    log:
        f"{LOG}/array/calibration_runs_index.log",
    benchmark:
        f"{LOG}/array/calibration_runs_index.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=run_root,
        telescopes=lambda wildcards: telescopes_with(
            SETS, wildcards.site, wildcards.night
        ),
        blocks=[],  # all of them
        version=step_version("index_dl0"),
    message:
        "{wildcards.night} {wildcards.site} {wildcards.category}: which dedicated runs there are"
    script:
        "../scripts/dl0_index.py"


rule run_statistics:
    input:
        site=site_file,
        config=run_config,
        index=ancient(run_index),
        events=run_files,
    output:
        product=f"{NIGHT}/{{tel}}/camera/run_statistics.{{block}}.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/run_statistics.{{block}}.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/run_statistics.{{block}}.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/run_statistics.{{block}}.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=run_root,
        version=version_of_run,
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.block} {wildcards.category}: dedicated run"
    script:
        "../scripts/pixel_statistics.py"


rule single_photoelectron:
    input:
        site=site_file,
        config=tool_config("fit_single_photoelectron"),
        index=ancient(run_index),
        events=files_of_types("dark", "single_pe", "high_voltage"),
    output:
        product=f"{NIGHT}/{{tel}}/camera/single_photoelectron.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/single_photoelectron.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/single_photoelectron.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/single_photoelectron.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=run_root,
        obs_id=run_of_type("single_pe"),
        high_voltage=run_of_type("high_voltage"),
        dark=run_of_type("dark"),
        version=step_version("fit_single_photoelectron"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: single photoelectrons"
    script:
        "../scripts/single_photoelectron.py"


rule photon_transfer:
    input:
        site=site_file,
        config=tool_config("calculate_photon_transfer"),
        runs=lambda wildcards: runs_table(
            wildcards.site, wildcards.night, wildcards.tel
        ),
        scan=run_statistics_of("scan"),
        dark=run_statistics_of("dark"),
        single_photoelectron=own_product("single_photoelectron"),
    output:
        product=f"{NIGHT}/{{tel}}/camera/photon_transfer.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/photon_transfer.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/photon_transfer.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/photon_transfer.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        version=step_version("calculate_photon_transfer"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: photon transfer of the filter scan"
    script:
        "../scripts/photon_transfer.py"


rule pedestal:
    input:
        site=site_file,
        config=tool_config("calculate_pedestal"),
        dark=run_statistics_of("dark"),
        sky=sky_statistics,
        photon_transfer=own_product("photon_transfer"),
        before=gains_of_pedestal,
    output:
        product=f"{NIGHT}/{{tel}}/camera/pedestal.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/pedestal.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/pedestal.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/pedestal.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        archive=archive_location,
        version=step_version("calculate_pedestal"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: pedestal"
    script:
        "../scripts/pedestal.py"


rule crosstalk:
    input:
        site=site_file,
        config=tool_config("calculate_crosstalk"),
        index=ancient(run_index),
        events=files_of_types("single_pixel"),
        photon_transfer=rules.photon_transfer.output.product,
    output:
        product=f"{NIGHT}/{{tel}}/camera/crosstalk.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/crosstalk.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/crosstalk.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/crosstalk.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=run_root,
        obs_id=run_of_type("single_pixel"),
        version=step_version("calculate_crosstalk"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: cross-talk"
    script:
        "../scripts/crosstalk.py"


rule drs4:
    input:
        site=site_file,
        config=tool_config("calculate_drs4_corrections"),
        index=ancient(run_index),
        events=files_of_types("drs4", "drs4_flat"),
    output:
        product=f"{NIGHT}/{{tel}}/camera/drs4.h5",
        provenance=f"{NIGHT}/{{tel}}/camera/drs4.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/drs4.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/drs4.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        root=run_root,
        obs_id=run_of_type("drs4"),
        flatfield=run_of_type("drs4_flat"),
        version=step_version("calculate_drs4_corrections"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: DRS4 corrections"
    script:
        "../scripts/drs4.py"


rule pde:
    input:
        site=site_file,
        config=tool_config("import_pde"),
        table=pde_table,
    output:
        product=f"{NIGHT}/{{tel}}/camera/pde.ecsv",
        provenance=f"{NIGHT}/{{tel}}/camera/pde.provenance.json",
    log:
        f"{LOG}/{{tel}}/camera/pde.log",
    benchmark:
        f"{LOG}/{{tel}}/camera/pde.benchmark.tsv"
    conda:
        "../envs/calibpipe.yaml"
    params:
        entry=pde_entry,
        version=step_version("import_pde"),
    message:
        "{wildcards.night} {wildcards.tel} {wildcards.category}: photon detection efficiency"
    script:
        "../scripts/pde.py"
