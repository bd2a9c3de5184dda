"""Input functions of pointing: records of the drives, nights that end with a pointing model."""


def drive_pattern(wildcards):
    """Where the record of a telescope's drive lies."""
    if config["dl0"]["source"] == "simulation":
        pattern = (
            f"{SIMULATION}/monitoring/{{tel}}/{{night}}/{{tel}}_{{block}}.pointing.h5"
        )
        return pattern.format(**wildcards)
    obs_id = wildcards.block.removeprefix("OBSID")
    pattern = config["monitoring"]["drive"].format(obs_id=obs_id, **wildcards)
    return str(Path(config["data_roots"]["monitoring"]) / pattern)


def drives_of_simulation():
    """Further output of the simulated DL0: records of drives, if stars are wanted."""
    folder = directory(f"{SIMULATION}/monitoring")
    return {"drives": folder} if wanted("pointing") else {}


def drive_record(wildcards):
    """The record of the drive, if it is there: one that is not is told by the step."""
    if config["dl0"]["source"] == "simulation":
        return f"{SIMULATION}/monitoring".format(**wildcards)
    pattern = Path(drive_pattern(wildcards))
    return sorted(map(str, pattern.parent.glob(pattern.name)))[:1]


def drive_path(wildcards):
    """The record of the drive, or where it should be: the step says that it is not there."""
    pattern = Path(drive_pattern(wildcards))
    return str(min(pattern.parent.glob(pattern.name), default=pattern))


def muon_psf_of_night(wildcards):
    """Point spread function from muons, if it is wanted, to compare with."""
    keys = wildcards.site, wildcards.category, wildcards.night
    rings = [tel for tel, _ in sound_blocks(*keys)] if wanted("throughput") else []
    there = wildcards.tel in rings
    return [f"{NIGHT}/{{tel}}/throughput/muon_psf.h5".format(**wildcards)] * there


def has_pointing_model(site, night):
    """Whether a pointing model is fitted at the end of this night."""
    return night in config["pointing"]["model_nights"].get(site, [])


def star_certifications(wildcards):
    """What was certified of the telescope's star tracking in this night."""
    keys = wildcards.site, wildcards.category, wildcards.night
    return [
        f"{NIGHT}/certification/star_tracking.{{tel}}.OBSID{obs_id}.json".format(
            **wildcards
        )
        for tel, obs_id in muon_blocks(*keys)
        if tel == wildcards.tel
    ]


def every_pointing_model(name, *domains):
    """A product for every telescope of the nights that end with a pointing model."""
    if not wanted("pointing", "archive", *domains):
        return []
    return [
        lambda wildcards, keys=keys: products_of_telescopes(name, *keys)
        for keys in requested_nights()
        if telescopes(keys[0]) and has_pointing_model(keys[0], keys[2])
    ]


def pointing_products(name):
    """Input function: a product for every block of the rule's night but those with flashes."""

    def of_night(name, *keys):
        return products_of_blocks(name, *keys, of_night=muon_blocks)

    return products_of_night(name, "pointing", of_night)


def pointing_models(name):
    """Input function: a product for every telescope, if the night ends with a pointing model."""

    def products(wildcards):
        if not has_pointing_model(wildcards.site, wildcards.night):
            return []
        of_night = products_of_night(name, "pointing", products_of_telescopes)
        return of_night(wildcards) if wanted("archive") else []

    return products
