"""Input functions of what follows from DL0: observation blocks, telescopes, flashes."""


def every_block(name, *domains, of_night=None):
    """A product for every telescope and observation block of the nights that are asked for.

    Which they are says the night's index of DL0 files, when it is made; `of_night` are blocks of
    another kind than those with calibration events.
    """
    if not wanted(*domains):
        return []
    return [
        lambda wildcards, keys=keys: products_of_blocks(name, *keys, of_night=of_night)
        for keys in requested_nights()
        if telescopes(keys[0])
    ]


def every_telescope(name, *domains, of_night=None):
    """A product for every telescope of the nights that are asked for that has sound data.

    `of_night` are blocks of another kind than those with muons.
    """
    if not wanted(*domains):
        return []
    return [
        lambda wildcards, keys=keys: products_of_telescopes(
            name, *keys, of_night=of_night
        )
        for keys in requested_nights()
        if telescopes(keys[0])
    ]


def dl0_index(site, category, night):
    """Rows of the night's index of DL0 files, when it is made."""
    made = checkpoints.dl0_index.get(site=site, category=category, night=night)
    path = Path(made.output.product)
    return rows_of_index(path, path.stat().st_mtime_ns)


@cache
def rows_of_index(path, time):
    """Rows of an index: every job of a night asks for them, reading takes a tenth of a second."""
    from calibpipe.core.products import read_table

    index = read_table(path, "array/dl0_index")
    columns = [index[name].tolist() for name in index.colnames]
    return [dict(zip(index.colnames, row)) for row in zip(*columns)]


def all_blocks(site, category, night):
    """Telescope and observation block of a night, but those that are left out by decision."""
    from calibpipe.core.dl0_files import blocks

    return [
        block
        for block in blocks(dl0_index(site, category, night))
        if ("leave_out_block", site, night, *block) not in OVERRIDES
    ]


def blocks_of_night(site, category, night):
    """Blocks with calibration events: flashes of a run may need the coefficients of another.

    Of dedicated runs those of flat fields.
    """
    runs = runs_of_night(site, night)
    flat_fields, dedicated = flat_field_runs(site, night), dedicated_runs(site, night)
    return [
        (tel, obs_id)
        for tel, obs_id in all_blocks(site, category, night)
        if (obs_id not in runs or runs[obs_id]["coefficients_from"] == obs_id)
        and ((tel, obs_id) not in dedicated or (tel, obs_id) in flat_fields)
    ]


def muon_blocks(site, category, night):
    """Blocks with muons: none while an illuminator flashes, none in dedicated runs."""
    runs, dedicated = runs_of_night(site, night), dedicated_runs(site, night)
    return [
        block
        for block in blocks_of_night(site, category, night)
        if block[1] not in runs and block not in dedicated
    ]


def illuminator_blocks(site, category, night):
    """Blocks with flashes of known light.

    An observation that no telescope has is asked of all of them: its step says what there is.
    """
    there = all_blocks(site, category, night)
    found = []
    for obs_id in runs_of_night(site, night):
        asked = dict.fromkeys((tel, obs_id) for tel, _ in there)
        found += [block for block in asked if block in there] or [
            block
            for block in asked
            if ("leave_out_block", site, night, *block) not in OVERRIDES
        ]
    return found


def runs_of_night(site, night):
    """Runs of an illuminator by number of their observation; there may be none."""
    return {
        key[2]: run for key, run in ILLUMINATOR_RUNS.items() if key[:2] == (site, night)
    }


def products_of_blocks(name, site, category, night, of_night=None):
    """A product for every telescope and observation block of a night."""
    folder = NIGHT.format(site=site, category=category, night=night)
    return [
        f"{folder}/{name.format(tel=tel, block=f'OBSID{obs_id}')}"
        for tel, obs_id in (of_night or blocks_of_night)(site, category, night)
    ]


def products_of_telescopes(name, site, category, night, of_night=None):
    """A product for every telescope of a night with a block that can be read."""
    folder = NIGHT.format(site=site, category=category, night=night)
    blocks = (of_night or sound_blocks)(site, category, night)
    there = dict.fromkeys(tel for tel, _ in blocks)
    return [f"{folder}/{name.format(tel=tel)}" for tel in there]


def sound_blocks(site, category, night, of_night=muon_blocks):
    """Blocks of a night, those with muons or of another kind, whose files have no problem."""
    index = dl0_index(site, category, night)
    damaged = {(row["array_element"], row["obs_id"]) for row in index if row["problem"]}
    return [b for b in of_night(site, category, night) if b not in damaged]


def muon_rings_of_night(wildcards):
    """Muon rings of a telescope: of all blocks that can be read."""
    keys = wildcards.site, wildcards.category, wildcards.night
    return [
        f"{NIGHT}/{{tel}}/throughput/muon_rings.OBSID{obs_id}.h5".format(**wildcards)
        for tel, obs_id in sound_blocks(*keys)
        if tel == wildcards.tel
    ]


def illuminator_run(wildcards):
    """What the configuration says of the flashes of an observation."""
    key = wildcards.site, wildcards.night, int(wildcards.block.removeprefix("OBSID"))
    if key not in ILLUMINATOR_RUNS:
        raise WorkflowError(
            f"throughput, illuminator: no entry {' '.join(map(str, key))} in the configuration"
        )
    return ILLUMINATOR_RUNS[key]


def illuminator_source(wildcards):
    """Table of the light source, if it is there: one that is not is told by the step."""
    source = illuminator_run(wildcards)["source"]
    return source if Path(source).is_file() else []


def illuminator_coefficients(wildcards):
    """Coefficients for the flashes: of the same observation or of another one of the night."""
    obs_id = illuminator_run(wildcards)["coefficients_from"]
    return f"{NIGHT}/{{tel}}/camera/coefficients.OBSID{obs_id}.h5".format(**wildcards)


def event_files(wildcards):
    """DL0 event files of a telescope and observation block, whatever is wrong with them.

    One that is not there (a link to nowhere) is told by the step.
    """
    index = dl0_index(wildcards.site, wildcards.category, wildcards.night)
    block = wildcards.tel, int(wildcards.block.removeprefix("OBSID"))
    root = Path(dl0_root(wildcards))
    return [
        str(root / row["path"])
        for row in index
        if (row["array_element"], row["obs_id"]) == block
        and (root / row["path"]).is_file()
    ]


def telescopes(site):
    """Array elements of a site that are asked for."""
    if not {"camera", "throughput", "pointing"} & set(config["domains"]):
        return []
    there = SITES[site]["telescopes"]
    return [
        tel for tel in there if tel in config["telescopes"] or not config["telescopes"]
    ]


def camera_products(name):
    """Input function: a product for every telescope and observation block of the rule's night."""
    return products_of_night(name, "camera", products_of_blocks)


def throughput_products(name):
    """Input function: a product for every telescope of the rule's night that has sound data."""
    return products_of_night(name, "throughput", products_of_telescopes)


def illuminator_products(name):
    """Input function: a product for every block with flashes of the rule's night."""

    def of_night(name, *keys):
        return products_of_blocks(name, *keys, of_night=illuminator_blocks)

    return products_of_night(name, "throughput", of_night)


def products_of_night(name, domain, of_night):
    """Input function: products of a domain of the rule's night, if they are wanted."""

    def products(wildcards):
        if not (wanted(domain) and telescopes(wildcards.site)):
            return []
        return of_night(name, wildcards.site, wildcards.category, wildcards.night)

    return products


def throughput_history(wildcards):
    """Throughput of the nights before, if it is certified."""
    if not (wanted("throughput", "archive") and telescopes(wildcards.site)):
        return []
    return f"{NIGHT}/array/throughput_history.ecsv".format(**wildcards)


def dl0_root(wildcards):
    """Folder that contains DL0."""
    if config["dl0"]["source"] == "simulation":
        return SIMULATION.format(**wildcards)
    return config["data_roots"]["dl0"]


def dl0_folders(wildcards):
    """Folders of the night's DL0: their time changes when a file comes or goes.

    Those that have to be simulated first, or those of the observatory that are there.
    """
    of_night = telescopes(wildcards.site)
    if config["dl0"]["source"] == "simulation":
        return [f"{SIMULATION}/DL0".format(**wildcards)] if of_night else []
    day = wildcards.night.replace("-", "/")
    root = Path(config["data_roots"]["dl0"])
    return sorted(
        str(folder)
        for tel in of_night
        for folder in root.glob(f"DL0/{tel}/*/acada-adh/events/{day}")
    )
