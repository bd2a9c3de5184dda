"""Input functions of the array: observation blocks with DL2."""


def every_array_block(name):
    """A product for every observation block with DL2 of the nights that are asked for."""
    return [
        f"{NIGHT}/{name}".format(site=site, category=category, night=night, block=block)
        for site, category, night in requested_nights()
        for block in dl2_files(site, night)
    ]


def every_array_night(name, *domains):
    """A product of every night that is asked for, with DL2."""
    if not wanted(*domains):
        return []
    return [
        f"{NIGHT}/{name}".format(site=site, category=category, night=night)
        for site, category, night in requested_nights()
        if dl2_files(site, night)
    ]


def dl2_files(site, night):
    """DL2 files of a night that there are, or will be, by observation block."""
    if not wanted("array"):
        return {}
    if config["dl2"]["source"] == "simulation":
        folder = SIMULATED_DL2.format(site=site, night=night)
        return {
            f"OBSID{block}": [f"{folder}/events.OBSID{block:05d}.dl2.h5"]
            for block in SIMULATED_BLOCKS
        }
    root = Path(config["data_roots"]["dl2"])
    pattern = config["dl2"]["files"].format(site=site, night=night, obs_id="OBSNUMBER")
    named = fnmatch.translate(pattern).replace("OBSNUMBER", r"(?P<number>\d+)", 1)
    named = named.replace("OBSNUMBER", "(?P=number)")
    found = {}
    searched = re.sub(r"OBSNUMBER\*?", "[0-9]*", pattern)
    for path in sorted(root.glob(searched)):
        if match := re.match(named, path.relative_to(root).as_posix()):
            found.setdefault(f"OBSID{int(match['number'])}", []).append(str(path))
    return found


def dl2_of_block(wildcards):
    """DL2 files of an observation block."""
    found = dl2_files(wildcards.site, wildcards.night)
    if wildcards.block not in found:
        raise WorkflowError(
            f"no DL2 of {wildcards.block} in the night {wildcards.night} at {wildcards.site}; "
            f"there are {', '.join(found) or 'none'}"
        )
    return found[wildcards.block]


def dl2_of_night(wildcards):
    """DL2 files of all observation blocks."""
    return sum(dl2_files(wildcards.site, wildcards.night).values(), [])


def asymmetries_of_night(quantity):
    """Input function: asymmetries of all observation blocks."""

    def asymmetries(wildcards):
        blocks = dl2_files(wildcards.site, wildcards.night)
        name = f"{NIGHT}/array/{quantity}_asymmetry".format(**wildcards)
        return [f"{name}.{block}.h5" for block in blocks]

    return asymmetries


def array_products(wildcards):
    """Products of the array that are certified, if there is DL2."""
    there = dl2_files(wildcards.site, wildcards.night)
    return [f"{NIGHT}/array/{name}.h5".format(**wildcards) for name in ARRAY if there]


def simulated_throughput(wildcards):
    """Truth of the simulated telescopes, which the array sees, too."""
    simulated = config["dl0"]["source"] == "simulation" and telescopes(wildcards.site)
    if wildcards.night not in config["nights"]:
        return []  # a reference night of the transparency: DL0 of it is not asked for
    return f"{SIMULATION}/truth".format(**wildcards) if simulated else []
