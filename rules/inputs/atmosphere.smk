"""Input functions of the atmosphere: meteorological data, reference models."""

if (
    config["meteo"]["source"] == "none"
    and wanted("archive")
    and not config["dl0"]["blocks"]
):
    raise WorkflowError(
        "meteo.source: none is for nights that are not over, and the atmosphere of none is "
        "certified; take archive out of domains, or force the reference model by date in "
        "config/overrides.yaml"
    )


def reference_pool(site):
    """Folder of the site's reference atmospheres."""
    return str(Path(config["reference_models"] or CONFIG / "reference_models") / site)


def reference_models(wildcards):
    """The site's reference atmospheres: one that is added or changed makes nights anew."""
    return sorted(map(str, Path(reference_pool(wildcards.site)).glob("*.ecsv")))


def atmosphere_products(wildcards):
    """Products of the atmosphere that are certified."""
    return [
        f"{NIGHT}/atmosphere/{name}.ecsv".format(**wildcards)
        for name in atmosphere_names(wildcards)
    ]


def atmosphere_names(wildcards):
    """Products of the atmosphere that a night has."""
    names = ["macobac", "reference_model", "atmospheric_model", "rayleigh_extinction"]
    by_date = override(wildcards.site, wildcards.night, "reference_model_by_date")
    return names if by_date else [*names, "density_profile"]


def meteo_pattern(wildcards):
    """Where meteorological files lie that are already there; empty when they are made."""
    if config["meteo"]["source"] != "files":
        return ""
    pattern = config["meteo"]["files"].format(**wildcards)
    return str(Path(config["data_roots"]["meteo"]) / pattern)


def meteo_files(wildcards):
    """Meteorological files that are there or simulated; none when they come from the archive.

    A night whose files are not there has none, too: its step fails, the other nights go on.
    """
    if config["meteo"]["source"] == "simulation":
        return f"{NIGHT}/simulation/meteo.grib".format(**wildcards)
    if config["meteo"]["source"] == "files":
        pattern = config["meteo"]["files"].format(**wildcards)
        return sorted(map(str, Path(config["data_roots"]["meteo"]).glob(pattern)))
    return []


def density_profile(wildcards):
    """The night's density profile, unless the date was forced to decide."""
    if override(wildcards.site, wildcards.night, "reference_model_by_date"):
        return []
    return f"{NIGHT}/atmosphere/density_profile.ecsv".format(**wildcards)


def meteo_data(wildcards):
    """The list of the night's meteorological files, unless it has to do without."""
    if override(wildcards.site, wildcards.night, "reference_model_by_date"):
        return []
    return f"{NIGHT}/atmosphere/meteo_data.json".format(**wildcards)
