"""A night of products made by hand: an exponential atmosphere, so that every number is known.

Density 1.2 kg/m3 at sea level, scale height 8 km; thickness, refractivity and optical depth follow.
"""

import json

import astropy.units as u
import numpy as np
from astropy.table import QTable
from astropy.time import Time

from calibpipe.core.files import sha256
from calibpipe.core.night import astronomical_night
from calibpipe.core.products import ProductMetadata, read_json, read_table, write_json, write_table
from calibpipe.report.material import STEPS, FoundProduct, NightMaterial

NIGHT, CATEGORY = "2024-07-10", "C"
SCALE = 8.0  # km
DENSITY = 1.2  # kg/m3 at sea level
NUMBER_15KM, NUMBER_ERROR = 4.5e18, 0.02e18  # 1/cm3
STAT, SYS = 0.003, 0.004  # relative errors, everywhere
DEPTH_350, CLOSURE, LIMIT = 0.45, -1.2e-3, 3e-3
TIMES = [f"2024-07-10T{h}:00:00.000" for h in (21, 22, 23)] + [
    f"2024-07-11T0{h}:00:00.000" for h in range(6)
]
CHANGE = np.linspace(-0.01, 0.01, len(TIMES))  # of density over the night
REFERENCES = {"winter": 4.3e18, "intermediate": 4.48e18, "summer": 4.6e18}
MODEL_FACTORS = {"winter": 0.95, "intermediate": 0.99, "summer": 1.05}  # density over the night's
CARDS = ["ATMOD  10", "ATMLAY   4.0000000E+05"]


def fall(z):
    """Exponential of an altitude in km."""
    return np.exp(-np.asarray(z) / SCALE)


def profile_columns(z, factor=1.0):
    """Columns that profiles and reference models share."""
    return {
        "altitude": 1000 * z * u.m,
        "pressure": 1013 * fall(z) * u.hPa,
        "temperature": np.full(z.shape, 250.0) * u.K,
        "water_vapour_mole_fraction": 1e-2 * fall(4 * z) + 5e-6,
        "density": factor * DENSITY * fall(z) * u.kg / u.m**3,
        "number_density": factor * 2.5e19 * fall(z) / u.cm**3,
    }


def reference_table(season="intermediate", version=1):
    """Reference model of a season; its nights scatter by 2 %."""
    z = np.arange(0.0, 120.5, 0.5)
    table = QTable(profile_columns(z, MODEL_FACTORS[season]))
    table["density_spread"] = 0.02 * table["density"]
    table.meta["calibpipe"] = {"season": season, "version": version}
    return table


class MadeNight:
    """Folder of a night whose products are made by hand."""

    def __init__(self, folder, site, night=NIGHT, category=CATEGORY):
        self.folder, self.site, self.night, self.category = folder, site, night, category
        self.darkness = astronomical_night(night, site)

    def __getitem__(self, name):
        return self.folder / "atmosphere" / name

    def make(self):
        """All eight products."""
        self.meteo_data()
        self.macobac()
        self.density_profile()
        self.reference_model()
        self.atmospheric_model()
        self.rayleigh_extinction()
        for name in ("atmprof.dat", "atm_trans.dat"):
            self[name].write_text("# exchange format\n")
        return self

    def metadata(self, kind, inputs=(), **details):
        return ProductMetadata(
            kind=kind,
            description=f"{kind} of {self.night}",
            site=self.site.name,
            night=self.night,
            category=self.category,
            activity={"name": f"calibpipe-make-{kind.split('/')[1]}", "id": "", "start": ""},
            configuration={"altitude_step_in_m": 100.0},
            inputs=tuple((role, self[name]) for role, name in inputs),
            details=details,
        )

    def meteo_data(self, **content):
        meteo = {"dataset": "ERA5", "release": "final", "forecast_hours": 0.0} | content
        write_json(self["meteo_data.json"], meteo, self.metadata("atmosphere/meteo_data"))

    def macobac(self, method="measured", age=10):
        table = QTable(
            {
                "co2_mole_fraction": [424.0e-6] * u.one,
                "stat_error": [0.1e-6] * u.one,
                "sys_error": [0.3e-6] * u.one,
                "first_month": ["2023-07"],
                "last_month": ["2024-06"],
                "n_months": [12],
                "source": ["monthly.csv"],
                "method": [method],
            }
        )
        details = {"age_in_days": age, "method": method, "source": "monthly.csv"}
        write_table(self["macobac.ecsv"], table, self.metadata("atmosphere/macobac", **details))

    def density_profile(self, uncovered=(0.0, 0.0), factor=1.0):
        z = np.arange(0.0, 40.0, 0.1)
        table = QTable(profile_columns(z, factor))
        table["density_stat_error"] = STAT * table["density"]
        table["density_sys_error"] = SYS * table["density"]
        table["density_at_times"] = table["density"][:, np.newaxis] * (1 + CHANGE)
        metadata = self.metadata(
            "atmosphere/density_profile",
            [("meteo_data", "meteo_data.json"), ("macobac", "macobac.ecsv")],
            dusk_utc=self.darkness.dusk.utc.isot,
            dawn_utc=self.darkness.dawn.utc.isot,
            times_utc=TIMES,
            largest_time_step_in_h=1.0,
            time_weights=[1 / len(TIMES)] * len(TIMES),
            uncovered_in_h=list(uncovered),
            number_density_15km_in_per_cm3=NUMBER_15KM,
            number_density_15km_error_in_per_cm3=NUMBER_ERROR,
        )
        write_table(self["density_profile.ecsv"], table, metadata)

    def reference_model(self, method="density", margin=3.0, reason="nearest"):
        metadata = self.metadata(
            "atmosphere/reference_model",
            [] if method == "date" else [("density_profile", "density_profile.ecsv")],
            selection={
                "season": "intermediate",
                "method": method,
                "reason": reason,
                "margin_in_sigma": margin,
            },
            model={"season": "intermediate", "version": 3, "source": "nights", "n_nights": 40},
            number_density_15km_in_per_cm3=REFERENCES,
        )
        write_table(self["reference_model.ecsv"], reference_table(), metadata)

    def atmospheric_model(self, top=39.9):
        z = np.arange(0.0, 121.0, 1.0)
        columns = {
            "altitude": z * u.km,
            "density": 1e-3 * DENSITY * fall(z) * u.g / u.cm**3,
            "thickness": 960 * fall(z) * u.g / u.cm**2,  # 1.2e-3 g/cm3 times 8e5 cm
            "refractivity": 2.8e-4 * fall(z),
        }
        columns["thickness"][-1] = 0 * u.g / u.cm**2
        for name in ("density", "thickness", "refractivity"):
            columns[f"{name}_stat_error"] = STAT * columns[name]
            columns[f"{name}_sys_error"] = SYS * columns[name]
        site = {"thickness": 960 * fall(2.158), "refractivity": 2.8e-4 * fall(2.158)}
        metadata = self.metadata(
            "atmosphere/atmospheric_model",
            refractivity_wavelength_in_nm=400.0,
            observation_level={
                f"{name}{suffix}": {"value": float(part * value), "unit": ""}
                for name, value in site.items()
                for suffix, part in (("", 1.0), ("_stat_error", STAT), ("_sys_error", SYS))
            },
            origin="data" if top else "reference atmosphere alone",
            top_of_data_in_km=top,
            upper_air="reference",
            five_layers={
                "lower_boundary_in_km": [0.0, 4.0, 10.0, 40.0, 100.0],
                "a_in_g_per_cm2": [-186.5, -94.9, 0.61, 0.0, 0.011],
                "b_in_g_per_cm2": [1222.6, 1144.9, 1305.6, 540.2, 1.0],
                "c_in_cm": [994186.4, 878153.6, 636143.0, 772170.2, 1e9],
                "largest_thickness_residual_below_30km": 0.0041,
                "largest_density_residual_below_30km": 0.026,
                "steering_cards": CARDS,
            },
        )
        write_table(self["atmospheric_model.ecsv"], QTable(columns), metadata)

    def rayleigh_extinction(self):
        site = self.site.elevation.to_value(u.km)
        z = np.array([site + 1, 5.0, 10.0, 15.0, 20.0, 30.0, 120.0])
        wavelength = np.arange(200.0, 1000.0)
        table = QTable(
            {
                "wavelength": wavelength * u.nm,
                "cross_section": 1e-26 * (wavelength / 400) ** -4 * u.cm**2,
                "optical_depth": optical_depth(wavelength[:, np.newaxis], z, site),
            }
        )
        metadata = self.metadata(
            "atmosphere/rayleigh_extinction",
            observation_altitude_in_km=site,
            altitude_in_km=z.tolist(),
            relative_stat_error=[0.001] * len(z),
            relative_sys_error=[0.004] * len(z),
            closure={
                "optical_depth_350nm": DEPTH_350,
                "hydrostatic_optical_depth_350nm": DEPTH_350 / (1 + CLOSURE),
                "relative_difference": CLOSURE,
                "limit": LIMIT,
            },
        )
        write_table(self["rayleigh_extinction.ecsv"], table, metadata)

    def found(self, path):
        """Product as the Tool finds it."""
        file, kind = self.folder / path, path.rsplit(".", 1)[0]
        table, header, content = None, {}, {}
        if path.endswith(".ecsv"):
            table = read_table(file, kind)
            header = dict(table.meta)
        elif path.endswith(".json"):
            header = read_json(file, kind)
            content = header.pop("content")
        link, size = f"../{path}", file.stat().st_size
        return FoundProduct(path, link, size, sha256(file), header, table, content)

    def material(self, **more):
        """What the page is made from, of the products that are there."""
        paths = [path for step in STEPS for path in step.products]
        products = {p: self.found(p) for p in paths if (self.folder / p).is_file()}
        values = {"darkness": self.darkness} | more
        return NightMaterial(
            site=self.site, night=self.night, category=self.category, products=products, **values
        )


def optical_depth(wavelength, altitude, site):
    """From the site to an altitude (km), of an exponential atmosphere: 0.45 above it at 350 nm."""
    return 0.45 * (wavelength / 350) ** -4 * (1 - fall(altitude - site))


def failure(step="atmosphere/density_profile", **more):
    """Record that a failed step leaves beside its log."""
    return {
        "step": step,
        "tool": f"calibpipe-{step.split('/')[1]}",
        "error": "MissingInputError",
        "message": "level 500 hPa is missing; retrieve the file again",
        "exit_code": 105,
        "time_utc": "2024-07-11T09:00:00+00:00",
        "command": f"calibpipe-{step.split('/')[1]} --night=2024-07-10",
    } | more


def write_failure(folder, record):
    """Record of a failure in the log folder of the night."""
    path = folder / f"{record['step']}.failure.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def utc(text):
    """Moment in UTC."""
    return Time(text, format="isot", scale="utc")
