"""What the page of a night shows, and pages of nights that failed."""


def certification_records(wildcards):
    """What was certified of a night, if something is."""
    if not wanted("archive"):
        return []
    cameras = camera_products("certification/camera_coefficients.{tel}.{block}.json")
    excluded = exclusion_products("certification/excluded_pixels.{tel}.json")
    throughputs = [
        throughput_products(f"certification/{name}.{{tel}}.json")
        for name in ("muon_throughput", "muon_psf")
    ]
    flashes = illuminator_products(
        "certification/illuminator_throughput.{tel}.{block}.json"
    )
    stars = [
        pointing_products(f"certification/{name}.{{tel}}.{{block}}.json")
        for name in ("star_tracking", "star_psf")
    ]
    models = pointing_models("certification/pointing_model.{tel}.json")
    array = dl2_files(wildcards.site, wildcards.night)
    aerosol = aerosol_names(wildcards)
    return [
        f"{NIGHT}/certification/atmosphere.json".format(**wildcards),
        *[f"{NIGHT}/certification/aerosol.json".format(**wildcards)] * bool(aerosol),
        *[f"{NIGHT}/certification/array.json".format(**wildcards)] * bool(array),
        *cameras(wildcards),
        *excluded(wildcards),
        *dedicated_certification(wildcards),
        *flashes(wildcards),
        *sum((products(wildcards) for products in throughputs), []),
        *sum((products(wildcards) for products in stars), []),
        *models(wildcards),
    ]


def certification_of_site(wildcards):
    """What was certified of the nights that are asked for, in every category."""
    return [
        record
        for keys in requested_nights()
        if keys[0] == wildcards.site
        for record in certification_records(keys_of_night(keys))
    ]


def pages_of_site(wildcards):
    """Pages of the nights that are asked for: the trends link to them."""
    return [
        f"{NIGHT}/report/index.html".format(
            **dict(zip(("site", "category", "night"), keys))
        )
        for keys in requested_nights()
        if keys[0] == wildcards.site
    ]


def trends_page(site):
    """Page of a site over the nights; empty if there is no archive or no report."""
    if not wanted("archive", "report"):
        return ""
    return f"results/{site}/trends/index.html"


def every_trends_page():
    """Pages of the sites over the nights."""
    return [page for page in map(trends_page, config["sites"]) if page]


def needs_page(site, category, night):
    """Whether something is in the folders of a night that its page does not show.

    A job that was killed leaves no record of a failure. Its product is absent; if there was one of
    an earlier run, its folder changed when that was removed.
    """
    keys = {"site": site, "category": category, "night": night}
    folder, logs = Path(NIGHT.format(**keys)), Path(LOG.format(**keys))
    if not folder.is_dir() and not logs.is_dir():
        return False  # nothing was begun
    if any(logs.rglob("*.failure.json")):
        return True
    page = folder / "report/index.html"
    parts = [path for path in folder.glob("*/") if path != page.parent]
    made = [path for part in parts for path in (part, *part.rglob("*"))]
    return not page.is_file() or any(
        path.stat().st_mtime > page.stat().st_mtime for path in made
    )


def make_page(site, category, night):
    """The page of a night from what there is, and where it is."""
    keys = {"site": site, "category": category, "night": night}
    page = Path(NIGHT.format(**keys)) / "report/index.html"
    options = {
        "config": tool_config("create_night_report"),
        "site": CONFIG / f"sites/{site}.yaml",
        "night": night,
        "category": category,
        "pool": reference_pool(site),
        "trends": trends_page(site),
        "night-folder": page.parents[1],
        "log-folder": LOG.format(**keys),
        "output": page,
        "provenance-log": Path(LOG.format(**keys)) / "report/report.provenance.json",
    }
    command = [sys.executable, "-m", "calibpipe.tools.create_night_report"]
    command += ["--overwrite", "--quiet"]
    command += ["--by-date"] * bool(override(site, night, "reference_model_by_date"))
    command += ["--camera"] * bool(wanted("camera") and telescopes(site))
    command += ["--throughput"] * bool(wanted("throughput") and telescopes(site))
    if not config["dl0"]["blocks"]:  # else shown where it is: point spreads come later
        command += ["--pointing"] * bool(wanted("pointing") and telescopes(site))
    command += [f"--{name}={value}" for name, value in options.items() if value]
    command += ["--array"] * bool(dl2_files(site, night))
    where = keys_of_night((site, category, night))
    command += [f"--aerosol={name}" for name in expected_aerosol(where)]
    if not is_simulated():  # else the runs of a set may not be known
        command += [f"--dedicated={path}" for path in dedicated_products(where)]
    index = page.parents[1] / "array/dl0_index.ecsv"
    if index.is_file() and not config["dl0"]["blocks"]:  # else left to the morning
        expected = exclusion_products("{tel}/camera/excluded_pixels.h5")(where)
        command += [f"--dedicated={path}" for path in expected]
    command += [f"--calibration-runs={n}" for n in calibration_runs(site, night)]
    command += [f"--illuminator={obs_id}" for obs_id in runs_of_night(site, night)]
    code = subprocess.run(command, check=False).returncode
    told = page.resolve() if code == 0 else f"not made, exit code {code}"
    print(f"Page of {site} {category} {night}: {told}", file=sys.stderr)


def make_trends(site):
    """The page of a site over the nights from what the archive has, and where it is."""
    page = Path(trends_page(site))
    options = {
        "config": tool_config("create_trends"),
        "archive": config["archive"]["location"],
        "site": site,
        "results": page.parents[1],
        "output": page,
    }
    command = [sys.executable, "-m", "calibpipe.tools.create_trends"]
    command += ["--overwrite", "--quiet"]
    command += [f"--{name}={value}" for name, value in options.items()]
    code = subprocess.run(command, check=False).returncode
    told = page.resolve() if code == 0 else f"not made, exit code {code}"
    print(f"Trends of {site}: {told}", file=sys.stderr)


def report_what_is_complete():
    """After a run on some of the night's blocks: its page, that others are asked for later."""
    if config["dl0"]["blocks"]:
        report_what_failed()


def report_what_failed():
    """After a failure: pages of the nights that it concerns, then those over the nights."""
    if "report" not in config["domains"]:
        return
    concerned = [keys for keys in requested_nights() if needs_page(*keys)]
    for keys in concerned:
        make_page(*keys)
    for site in dict.fromkeys(keys[0] for keys in concerned):
        if (
            trends_page(site)
            and Path(f"results/archive/{site}/observatory_data.json").is_file()
        ):
            make_trends(site)
