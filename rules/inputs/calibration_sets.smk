"""Input functions of dedicated runs of cameras: which there are, what is made of them.

A set has a table of its runs: the user's, or that of the simulation when it is made.
"""

from functools import lru_cache


def is_simulated():
    """Whether DL0 is simulated. Then the runs of sets lie apart from those of the night."""
    return config["dl0"]["source"] == "simulation"


def by_telescope(name, telescopes_of):
    """Entries of a list in the configuration by site, night and telescope."""
    found = {}
    for entry in config["camera"][name]:
        site, night = entry["site"], entry["night"]
        where = f"camera, {name}, {site} {night}"
        day(night, where)
        there = SITES[site]["telescopes"] if site in SITES else []
        for tel in telescopes_of(entry, there):
            if there and tel not in there:
                raise WorkflowError(
                    f"{where}: no {tel} at {site}; there are {', '.join(there)}"
                )
            if (site, night, tel) in found:
                raise WorkflowError(f"{where}: two entries of {tel}; keep one")
            found[site, night, tel] = entry
    return found


def calibration_sets():
    """Sets by site, night and telescope."""
    found = by_telescope(
        "calibration_sets", lambda e, there: e.get("telescopes", there)
    )
    for (site, night, _), entry in found.items():
        where = f"camera, calibration_sets, {site} {night}"
        if "runs" not in entry and not is_simulated():
            raise WorkflowError(f"{where}: no table of the runs; name it in `runs`")
        if is_simulated() and entry["mode"] in ("PEDESTAL", "PEDESTAL_FLAT"):
            raise WorkflowError(
                f"{where}: runs of mode {entry['mode']} are not simulated; take PEDESTAL_FLAT_SCAN or "
                "PEDESTAL_FLAT_SCAN_SPE (n_single_pe in config/tools/simulate_calibration_runs.yaml)"
            )
        if "runs" in entry and is_simulated():
            raise WorkflowError(
                f"{where}: `runs` is given, but dl0.source is simulation, which writes a table of "
                "its own; leave it out"
            )
    return found


def detection_efficiencies():
    """Measured photon detection efficiencies by site, night and telescope."""
    found = by_telescope("pde", lambda entry, there: [entry["telescope"]])
    for (site, night, _), entry in found.items():
        day(entry["measured"], f"camera, pde, {site} {night}, measured")
    return found


SETS = calibration_sets()
PDE = detection_efficiencies()


def runs_table(site, night, tel):
    """Table of the runs of a set."""
    if not is_simulated():
        return SETS[site, night, tel]["runs"]
    made = checkpoints.simulated_calibration_runs.get(site=site, night=night)
    return str(made.output.runs)


def calibration_set_of(site, night, tel):
    """Runs of a telescope's set by type, and what is made of them."""
    if (site, night, tel) not in SETS:
        raise WorkflowError(
            f"camera, calibration_sets: no entry {site} {night} {tel} in the configuration"
        )
    left_out = tuple(
        key[4] for key in OVERRIDES if key[:4] == ("leave_out_block", site, night, tel)
    )
    table = runs_table(site, night, tel)
    return read_set(table, SETS[site, night, tel]["mode"], left_out)


@lru_cache(maxsize=None)
def read_set(path, mode, left_out):
    """Set of the runs in a table but those that are left out by decision, checked."""
    from calibpipe.camera.calibration_set import calibration_set
    from calibpipe.core.ecsv_input import read_ecsv
    from calibpipe.core.exceptions import CalibPipeError

    try:
        table, where = read_ecsv(path, "table of the runs"), path
        if left_out and "obs_id" in table.colnames:
            table = table[[int(obs_id) not in left_out for obs_id in table["obs_id"]]]
            where = f"{path} without {list(left_out)} (leave_out_block)"
        return calibration_set(table, mode, where)
    except CalibPipeError as error:
        raise WorkflowError(f"camera, calibration_sets: {error}") from error


def own_set(wildcards):
    """Set of the telescope of a rule."""
    return calibration_set_of(wildcards.site, wildcards.night, wildcards.tel)


def telescopes_with(entries, site, night):
    """Telescopes of a night with a set (or another entry), of those that are asked for."""
    return [tel for tel in telescopes(site) if (site, night, tel) in entries]


def dedicated_runs(site, night):
    """Runs of sets among the files of a night: type by telescope and observation."""
    if is_simulated():
        return {}
    found = {}
    for tel in telescopes_with(SETS, site, night):
        own = calibration_set_of(site, night, tel)
        found |= {(tel, n): kind for kind, runs in own.runs.items() for n in runs}
    both = sorted({n for _, n in found} & set(runs_of_night(site, night)))
    if both:
        raise WorkflowError(
            f"observations {both} of {site} {night} are in a calibration set and among the flashes "
            "of throughput, illuminator; keep one of both"
        )
    return found


def flat_field_runs(site, night):
    """Runs of sets that give camera coefficients as ordinary blocks do."""
    if is_simulated():
        return []
    return [
        (tel, obs_id)
        for tel in telescopes_with(SETS, site, night)
        for obs_id in calibration_set_of(site, night, tel).flat_fields
    ]


def every_set(name):
    """A product for every part of the sets of the nights that are asked for.

    `name` has {block} for the runs that are measured, {dedicated} for the products.
    """
    if not wanted("camera", *["archive"] * name.startswith("certification")):
        return []
    return [
        lambda wildcards, keys=keys: products_of_sets(name, *keys)
        for keys in requested_nights()
        if telescopes_with(SETS, keys[0], keys[2])
    ]


def every_pde(name):
    """A product for every photon detection efficiency of the nights that are asked for."""
    if not wanted("camera", *["archive"] * name.startswith("certification")):
        return []
    return [
        product
        for keys in requested_nights()
        for product in products_of_pde(name, *keys)
    ]


def products_of_sets(name, site, category, night):
    """A product for every part of the sets of a night."""
    folder = NIGHT.format(site=site, category=category, night=night)
    found = []
    for tel in telescopes_with(SETS, site, night):
        own = calibration_set_of(site, night, tel)
        blocks = [f"OBSID{n}" for n in own.measured_runs]
        parts = [{"block": block} for block in blocks] if "{block}" in name else []
        parts += [{"dedicated": n} for n in own.products if "{dedicated}" in name]
        found += [f"{folder}/{name.format(tel=tel, **part)}" for part in parts]
    return found


def products_of_pde(name, site, category, night):
    """A product for every photon detection efficiency of a night."""
    folder = NIGHT.format(site=site, category=category, night=night)
    return [
        f"{folder}/{name.format(tel=tel)}" for tel in telescopes_with(PDE, site, night)
    ]


def dedicated_of_night(set_name, pde_name):
    """Input function: products of the sets of the rule's night, and efficiencies."""

    def products(wildcards):
        if not wanted("camera"):
            return []
        keys = wildcards.site, wildcards.category, wildcards.night
        return products_of_sets(set_name, *keys) + products_of_pde(pde_name, *keys)

    return products


dedicated_products = dedicated_of_night(
    "{tel}/camera/{dedicated}.h5", "{tel}/camera/pde.ecsv"
)
dedicated_certification = dedicated_of_night(
    "certification/{dedicated}.{tel}.json", "certification/pde.{tel}.json"
)


def calibration_runs(site, night):
    """Numbers of the dedicated runs among the files of a night."""
    return sorted({obs_id for _, obs_id in dedicated_runs(site, night)})


def run_root(wildcards):
    """Folder with the DL0 of the runs."""
    return (SIMULATED_SETS if is_simulated() else dl0_root(wildcards)).format(
        **wildcards
    )


def run_index(wildcards):
    """Index of the runs: that of the night, or of the simulation."""
    name = "calibration_runs_index" if is_simulated() else "dl0_index"
    return f"{NIGHT}/array/{name}.ecsv".format(**wildcards)


def files_of_runs(wildcards, obs_ids):
    """DL0 files of some observations of a telescope."""
    if is_simulated():
        return [f"{SIMULATED_SETS}/DL0".format(**wildcards)]
    keys = dict(wildcards.items())
    blocks = [
        Wildcards(fromdict=keys | {"block": f"OBSID{obs_id}"}) for obs_id in obs_ids
    ]
    return sum((event_files(block) for block in blocks), [])


def run_files(wildcards):
    """DL0 files of a run."""
    return files_of_runs(wildcards, [obs_id_of(wildcards)])


def files_of_types(*run_types):
    """Input function: DL0 files of the runs of some types."""

    def files(wildcards):
        runs = [own_set(wildcards).run(kind) for kind in run_types]
        return files_of_runs(wildcards, [n for n in runs if n is not None])

    return files


def obs_id_of(wildcards):
    """Number of the observation of a block."""
    return int(wildcards.block.removeprefix("OBSID"))


def run_of_type(run_type):
    """Parameter: number of the run of a type; None without one."""
    return lambda wildcards: own_set(wildcards).run(run_type)


def run_settings(wildcards):
    """Name of the settings of the pixel statistics of a run: by its type."""
    obs_id = obs_id_of(wildcards)
    own = own_set(wildcards)
    if obs_id not in own.measured_runs:
        raise WorkflowError(
            f"no statistics of observation {obs_id} of {wildcards.tel}: mode {own.mode} takes those of "
            f"{', '.join(map(str, own.measured_runs))}"
        )
    return f"calculate_pixel_statistics_{own.type_of(obs_id)}"


def run_config(wildcards):
    """Settings of the pixel statistics of a run."""
    return tool_config(run_settings(wildcards))


def version_of_run(wildcards):
    """Version of the pixel statistics of a run."""
    return step_version("calculate_pixel_statistics", run_settings(wildcards))


def run_statistics_of(run_type):
    """Input function: pixel statistics of all runs of a type, but those that are left out."""

    def statistics(wildcards):
        return [
            f"{NIGHT}/{{tel}}/camera/run_statistics.OBSID{n}.h5".format(**wildcards)
            for n in own_set(wildcards).runs.get(run_type, ())
        ]

    return statistics


def sky_statistics(wildcards):
    """Statistics with sky pedestals, without runs that are left out; flat fields have the usual ones."""
    kind, runs = own_set(wildcards).sky_runs
    name = "pixel_statistics" if kind == "flat" else "run_statistics"
    return [
        f"{NIGHT}/{{tel}}/camera/{name}.OBSID{n}.h5".format(**wildcards) for n in runs
    ]


def own_product(name):
    """Input function: product of the telescope's set, if its mode makes it."""

    def product_of_set(wildcards):
        made = name in own_set(wildcards).products
        return [f"{NIGHT}/{{tel}}/camera/{name}.h5".format(**wildcards)] * made

    return product_of_set


def dedicated_product(wildcards):
    """File of a product of dedicated runs or a laboratory."""
    suffix = "ecsv" if wildcards.dedicated == "pde" else "h5"
    return f"{NIGHT}/{{tel}}/camera/{{dedicated}}.{suffix}".format(**wildcards)


def dedicated_before(wildcards):
    """What was certified of the telescope in the last night before, of those of the same run.

    Each goes in front of the one before, so that nights that are calibrated together take turns.
    """
    site, tel, name = wildcards.site, wildcards.tel, wildcards.dedicated
    entries = PDE if name == "pde" else SETS
    before = sorted(night for night in config["nights"] if night < wildcards.night)
    for night in reversed(before):
        if (site, night, tel) in entries and (
            name == "pde" or name in calibration_set_of(site, night, tel).products
        ):
            folder = NIGHT.format(site=site, category=wildcards.category, night=night)
            return [f"{folder}/certification/{name}.{tel}.json"]
    return []


def certified_before(*names):
    """Input function: products that are certified in the last night before that has them."""

    def records(wildcards):
        if not wanted("archive"):
            return []
        keys = dict(wildcards.items())
        return [
            record
            for name in names
            for record in dedicated_before(
                Wildcards(fromdict=keys | {"dedicated": name})
            )
        ]

    return records


# gains of a night are held against both; the gains of stars are better known with the first
sets_before = certified_before("photon_transfer", "single_photoelectron")
photon_transfer_before = certified_before("photon_transfer")


def gains_of_pedestal(wildcards):
    """Archive with the gains of the nights before, where the set has no photon transfer itself."""
    if own_product("photon_transfer")(wildcards) or not wanted("archive"):
        return []
    return [archive_of_site(wildcards), *photon_transfer_before(wildcards)]


def pde_entry(wildcards):
    """What the configuration says of the photon detection efficiency of a telescope."""
    key = wildcards.site, wildcards.night, wildcards.tel
    if key not in PDE:
        raise WorkflowError(
            f"camera, pde: no entry {' '.join(key)} in the configuration"
        )
    return PDE[key]


def pde_table(wildcards):
    """The measurement, if it is there: one that is not is told by the step."""
    path = pde_entry(wildcards)["table"]
    return path if Path(path).is_file() else []
