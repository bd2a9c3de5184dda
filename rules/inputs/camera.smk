"""Input functions of excluded pixels: decisions of operators, blocks and nights that count."""


def pixel_decisions():
    """Decisions of operators on pixels (config/pixel_overrides.yaml), as they are written."""
    name = "pixel_overrides.yaml"
    entries = validated_yaml(name, "pixel_overrides.schema.yaml")["overrides"]
    for entry in entries:
        for key in ("night", "until", "date"):
            if key in entry:
                day(entry[key], f"{name}, {key}")
        if entry.get("until", entry["night"]) < entry["night"]:
            raise WorkflowError(
                f"{name}: a decision on {entry['telescope']} ends on {entry['until']}, before it "
                f"begins on {entry['night']}"
            )
        there = SITES.get(entry["site"], {}).get("telescopes", [entry["telescope"]])
        if entry["telescope"] not in there:
            raise WorkflowError(
                f"{name}: no {entry['telescope']} at {entry['site']}; there are {', '.join(there)}"
            )
    return entries


PIXEL_DECISIONS = pixel_decisions()


def decisions_on_pixels(wildcards):
    """Decisions that hold for the telescope in the night: the file has those of all others."""
    return [
        entry
        for entry in PIXEL_DECISIONS
        if (entry["site"], entry["telescope"]) == (wildcards.site, wildcards.tel)
        and entry["night"] <= wildcards.night <= entry.get("until", wildcards.night)
    ]


def calibrated_blocks(site, category, night):
    """Blocks with coefficients of a night whose files have no problem."""
    return sound_blocks(site, category, night, of_night=blocks_of_night)


def coefficients_of_night(wildcards):
    """Coefficients of a telescope: of all blocks that can be read."""
    keys = wildcards.site, wildcards.category, wildcards.night
    return [
        f"{NIGHT}/{{tel}}/camera/coefficients.OBSID{obs_id}.h5".format(**wildcards)
        for tel, obs_id in calibrated_blocks(*keys)
        if tel == wildcards.tel
    ]


def evidence_of_set(name):
    """Input function: product of the telescope's calibration set of the night, if there is one."""

    def product_of_set(wildcards):
        if (wildcards.site, wildcards.night, wildcards.tel) not in SETS:
            return []
        return own_product(name)(wildcards)

    return product_of_set


def verdicts_of_set(wildcards):
    """What verification says of that evidence; a decision to certify all the same counts as well."""
    if override(wildcards.site, wildcards.night, "certify_despite_verdict"):
        return []
    return [
        f"{NIGHT}/verification/{name}.{{tel}}.json".format(**wildcards)
        for name in ("photon_transfer", "crosstalk", "single_photoelectron")
        if evidence_of_set(name)(wildcards)
    ]


def has_events(site, night, tel):
    """Whether there may be DL0 of a telescope: a night without has no index of its files."""
    if config["dl0"]["source"] == "simulation":
        return True
    root, day = Path(config["data_roots"]["dl0"]), night.replace("-", "/")
    return any(root.glob(f"DL0/{tel}/*/acada-adh/events/{day}/*"))


def exclusion_before(wildcards):
    """What was certified in the last night before, of those of the same run.

    The history comes out of the archive. Nights that are calibrated together go in their order, so
    that it does not depend on which comes first.
    """
    if not wanted("archive"):
        return []
    site, category, tel = wildcards.site, wildcards.category, wildcards.tel
    before = sorted(night for night in config["nights"] if night < wildcards.night)
    for night in reversed(before):
        if not has_events(site, night, tel):
            continue
        if any(name == tel for name, _ in calibrated_blocks(site, category, night)):
            folder = NIGHT.format(site=site, category=category, night=night)
            return [f"{folder}/certification/excluded_pixels.{tel}.json"]
    return []


def every_exclusion(name, *domains):
    """A product for every telescope of the nights that are asked for that has coefficients."""
    return every_telescope(name, "camera", *domains, of_night=calibrated_blocks)


def exclusion_products(name):
    """Input function: a product for every telescope of the rule's night with coefficients."""

    def of_night(name, *keys):
        return products_of_telescopes(name, *keys, of_night=calibrated_blocks)

    return products_of_night(name, "camera", of_night)
