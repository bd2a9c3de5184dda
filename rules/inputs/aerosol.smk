"""Input functions of the aerosol domain: which instruments watch the air of a night."""

SIMULATED_MONITORING = "simulation/monitoring/{site}/{night}"
SIMULATED_FILES = {  # what each instrument of a simulated night delivers
    "fram": f"{SIMULATED_MONITORING}/fram.fits",
    "lidar": f"{NIGHT}/simulation/lidar.nc",
    "allsky": f"{SIMULATED_MONITORING}/allsky.fits",
    "trigger_rates": f"{SIMULATED_MONITORING}/trigger_rates.ecsv",
}
INSTRUMENT_OF = {
    "clear_night": "fram",
    "lidar": "lidar",
    "allsky": "allsky",
    "transparency_coefficient": "trigger_rates",
}
CONDITIONS = "observation_conditions"


def monitoring_files(instrument, wildcards):
    """Data of an instrument: those that there are, or that will be simulated."""
    if instrument not in config["monitoring"]["instruments"].get(wildcards.site, []):
        return []
    if config["monitoring"]["source"] == "simulation":
        return [SIMULATED_FILES[instrument].format(**wildcards)]
    pattern = config["monitoring"]["files"][instrument].format(**wildcards)
    return sorted(map(str, Path(config["data_roots"]["monitoring"]).glob(pattern)))


def monitoring_data(instrument):
    """Input function: data of an instrument."""
    return lambda wildcards: monitoring_files(instrument, wildcards)


def reference_nights(site):
    """Clear nights that transparency is measured against."""
    return config["monitoring"]["reference_nights"].get(site, [])


def is_reference_night(wildcards):
    """Whether the night is one of them."""
    return wildcards.night in reference_nights(wildcards.site)


def is_asked_for(wildcards):
    """Whether the night is calibrated; a reference night may not be."""
    return wildcards.night in config["nights"]


def muons_for_transparency(wildcards):
    """Throughputs of the night's telescopes; else the columns of the trigger rates hold."""
    if not is_asked_for(wildcards):
        return []
    return throughput_products("{tel}/throughput/muon_throughput.h5")(wildcards)


def gains_for_transparency(wildcards):
    """Coefficients of the first block of each telescope; else the columns hold."""
    if not (
        is_asked_for(wildcards) and wanted("camera") and telescopes(wildcards.site)
    ):
        return []
    keys = wildcards.site, wildcards.category, wildcards.night
    first = {}
    for tel, obs_id in blocks_of_night(*keys):
        first.setdefault(tel, f"{tel}/camera/coefficients.OBSID{obs_id}.h5")
    return [f"{NIGHT.format(**wildcards)}/{name}" for name in first.values()]


def reference_transparencies(wildcards):
    """Products of the reference nights; a night that is one itself needs no other."""
    if is_reference_night(wildcards):
        return []
    keys = {"site": wildcards.site, "category": wildcards.category}
    return [
        f"{NIGHT}/atmosphere/transparency_coefficient.ecsv".format(night=night, **keys)
        for night in reference_nights(wildcards.site)
    ]


def monitoring_names(wildcards):
    """Products of the instruments of a night, in the order of `INSTRUMENT_OF`.

    A LIDAR needs the night's own density profile; rates need reference nights; an instrument that is
    left out by decision has none.
    """
    if not wanted("aerosol"):
        return []
    site, night = wildcards.site, wildcards.night
    possible = {
        "lidar": bool(density_profile(wildcards)),
        "transparency_coefficient": bool(reference_nights(site)),
    }
    return [
        name
        for name, instrument in INSTRUMENT_OF.items()
        if possible.get(name, True)
        and ("leave_out_instrument", site, night, instrument) not in OVERRIDES
        and monitoring_files(instrument, wildcards)
    ]


def monitoring_product(name):
    """Input function: a product of an instrument, if the night has one."""

    def product_of_night(wildcards):
        there = name in monitoring_names(wildcards)
        return [f"{NIGHT}/atmosphere/{name}.ecsv".format(**wildcards)] if there else []

    return product_of_night


def aerosol_names(wildcards):
    """Products of the domain that a night has."""
    names = monitoring_names(wildcards)
    together = names and density_profile(wildcards)
    return [*names, CONDITIONS] if together else names


def aerosol_product(name, wildcards):
    """Where a product of the domain lies."""
    suffix = "h5" if name == CONDITIONS else "ecsv"
    return f"{NIGHT}/atmosphere/{name}.{suffix}".format(**wildcards)


def aerosol_products(wildcards):
    """Products of the domain that are certified."""
    return [aerosol_product(name, wildcards) for name in aerosol_names(wildcards)]


def every_aerosol_night(*names):
    """Products of every night that is asked for, of the instruments that it has."""
    return [
        aerosol_product(name, wildcards)
        for wildcards in map(keys_of_night, requested_nights())
        for name in aerosol_names(wildcards)
        if name in names
    ]


def every_certified_aerosol():
    """Record of the certification of every night that has a product of the domain."""
    return [
        f"{NIGHT}/certification/aerosol.json".format(**wildcards)
        for wildcards in map(keys_of_night, requested_nights())
        if wanted("archive") and aerosol_names(wildcards)
    ]


def expected_aerosol(wildcards):
    """Products that the instruments of the site would give, for the page."""
    if not wanted("aerosol"):
        return []
    there = config["monitoring"]["instruments"].get(wildcards.site, [])
    names = [name for name, instrument in INSTRUMENT_OF.items() if instrument in there]
    return [*names, CONDITIONS] if names else []
