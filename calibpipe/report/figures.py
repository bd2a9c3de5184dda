"""Figures of a night: from tables of its products to matplotlib figures, nothing else.

Every colour drawn is one of `drawing.PALETTE` and becomes a variable of the page's style sheet
(`inline_svg`), so that one figure serves light screens, dark ones and paper.
"""

import astropy.units as u
import matplotlib as mpl
import numpy as np
from astropy.table import QTable
from astropy.time import Time
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .drawing import (
    DEPTH_COLOURS,
    PALETTE,
    STYLE,
    TOP_OF_LIGHT,
    altitude_axis,
    colour_bar,
    decades,
    legend_above,
    new_figure,
    night_axis,
    note,
    season_colour,
    wavelength_axis,
)
from .placement import apart

__all__ = [
    "density_ratio_figure",
    "evolution_figure",
    "optical_depth_figure",
    "profile_figure",
    "refractivity_figure",
    "transmission_figure",
]

DECISIVE_ALTITUDE = 15.0  # km, where the reference model is chosen
EVOLUTION_ALTITUDES = {
    5.0: "level1",
    10.0: "level2",
    15.0: "level3",
    20.0: "level4",
    30.0: "level5",
}
TRANSMISSION_ALTITUDES = {
    3.0: "level6",
    5.0: "level1",
    10.0: "level2",
    15.0: "level3",
    120.0: "level5",
}
DEPTHS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
REFERENCE_WAVELENGTH = 350.0  # nm: of the closure test


def density_ratio_figure(
    profile: QTable, models: dict[str, QTable], chosen: str, elevation: u.Quantity
) -> Figure:
    """Density of the night over that of each reference model, below 30 km.

    Parameters
    ----------
    profile : QTable
        Product ``atmosphere/density_profile``.
    models : dict
        Season to reference model (altitude, density, density_spread), the chosen one among them.
    chosen : str
        Season of the chosen model: bold, with the night's errors as a band and the spread of the
        model's own nights as a shade around 1.
    elevation : Quantity
        Of the site.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        for season, model in sorted(models.items(), key=lambda entry: entry[0] == chosen):
            z, ratio, error = density_ratio(profile, model)
            colour = season_colour(season)
            if season == chosen:
                _spread_of_nights(axes, model)
                axes.fill_betweenx(
                    z, ratio - error, ratio + error, color=colour, alpha=0.25, linewidth=0
                )
                axes.plot(ratio, z, color=colour, linewidth=2.6, label=f"{season} (chosen)")
            else:
                axes.plot(ratio, z, color=colour, linewidth=1.4, label=season)
        axes.axvline(1.0, color=PALETTE["faint"], linewidth=0.8, zorder=1)
        altitude_axis(axes, elevation)
        _mark_choice(axes)
        half = 1.05 * max(abs(edge - 1.0) for line in axes.lines for edge in _drawn(line))
        axes.set_xlim(1 - max(half, 0.02), 1 + max(half, 0.02))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.set_xlabel("density of the night / density of the model")
        legend_above(axes)
    return figure


def density_ratio(profile: QTable, model: QTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Altitude (km), night over model, and its error, at the altitudes of the model.

    The error is the statistical and the systematic one of the night in quadrature.
    """
    known = profile["altitude"].to_value(u.km)
    rows = model["altitude"].to_value(u.km) <= known[-1]
    z = model["altitude"].to_value(u.km)[rows]
    density = profile["density"].to_value(u.kg / u.m**3)
    error = np.hypot(
        profile["density_stat_error"].to_value(u.kg / u.m**3),
        profile["density_sys_error"].to_value(u.kg / u.m**3),
    )
    ratio = np.exp(np.interp(z, known, np.log(density))) / model["density"][rows].to_value(
        u.kg / u.m**3
    )
    return z, ratio, ratio * np.interp(z, known, error / density)


def refractivity_figure(
    model: QTable, wavelength: u.Quantity, elevation: u.Quantity, top_of_data: u.Quantity
) -> Figure:
    """Refractivity against altitude, and the relative errors of the shower atmosphere.

    Parameters
    ----------
    model : QTable
        Product ``atmosphere/atmospheric_model``.
    wavelength : Quantity
        Of n-1.
    elevation, top_of_data : Quantity
        Of the site, and where the data end (0 if there are none).
    """
    with mpl.rc_context(STYLE):
        figure, (left, right) = new_figure(2)
        z = model["altitude"].to_value(u.km)
        n = np.asarray(model["refractivity"])
        left.plot(n, z, color=PALETTE["level5"], linewidth=2.2)
        left.set_xscale("log")
        left.set_xlabel(f"n − 1 at {wavelength.to_value(u.nm):g} nm")
        for kind, colour, style in (("stat", "level1", "-"), ("sys", "level5", "--")):
            relative = np.asarray(model[f"refractivity_{kind}_error"]) / n
            right.plot(
                100 * np.maximum(relative, 1e-6),
                z,
                style,
                color=PALETTE[colour],
                label={"stat": "statistical", "sys": "systematic"}[kind],
            )
        right.set_xscale("log")
        right.set_xlabel("relative error of n − 1 (%)")
        legend_above(right)
        top = 60.0
        shown = z <= top
        left.set_xlim(n[shown].min() / 1.5, n[shown].max() * 1.8)
        for axes in (left, right):
            decades(axes.xaxis)
            altitude_axis(axes, elevation, top=top)
            if top_of_data > 0 * u.km:
                axes.axhline(
                    top_of_data.to_value(u.km), color=PALETTE["faint"], linewidth=1, dashes=(4, 3)
                )
        if top_of_data > 0 * u.km:
            note(left, 0.97, top_of_data.to_value(u.km), "end of data")
        right.set_ylabel("")
        right.tick_params(labelleft=False)
    return figure


def optical_depth_figure(extinction: QTable) -> Figure:
    """Map of the vertical Rayleigh optical depth from the site to an altitude.

    Parameters
    ----------
    extinction : QTable
        Product ``atmosphere/rayleigh_extinction``.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        header = extinction.meta["calibpipe"]
        site = header["observation_altitude_in_km"]
        z = np.array([site, *header["altitude_in_km"]])
        rows = _spaced_rows(len(extinction))
        wavelength = extinction["wavelength"].to_value(u.nm)[rows]
        depth = _optical_depth(extinction)[rows]
        depth = np.column_stack([np.zeros(len(depth)), depth])
        shown = z <= _first_at_least(z, TOP_OF_LIGHT)
        colours = ListedColormap(DEPTH_COLOURS)
        levels = np.array([0.0, *DEPTHS, np.inf])
        filled = axes.contourf(
            wavelength,
            z[shown],
            np.minimum(depth[:, shown].T, 1e3),
            levels=np.minimum(levels, 1e4),
            cmap=colours,
            norm=BoundaryNorm(np.minimum(levels, 1e4), colours.N),
        )
        filled.set_edgecolor("face")
        axes.contour(
            wavelength,
            z[shown],
            depth[:, shown].T,
            levels=DEPTHS,
            colors=[PALETTE["paper"]],
            linewidths=0.5,
        )
        axes.grid(visible=False)
        wavelength_axis(axes, wavelength)
        altitude_axis(axes, site * u.km, bottom=site)
        colour_bar(
            axes,
            DEPTH_COLOURS,
            [f"{depth:g}" for depth in DEPTHS],
            "vertical optical depth τ, from the site to the altitude",
        )
    return figure


def transmission_figure(extinction: QTable) -> Figure:
    """Vertical Rayleigh transmission to the site against wavelength, from several altitudes.

    Parameters
    ----------
    extinction : QTable
        Product ``atmosphere/rayleigh_extinction``.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        z = np.array(extinction.meta["calibpipe"]["altitude_in_km"])
        wavelength = extinction["wavelength"].to_value(u.nm)
        transmission = np.exp(-_optical_depth(extinction))
        for altitude, colour in TRANSMISSION_ALTITUDES.items():
            column = int(np.argmin(np.abs(z - altitude)))
            label = "top" if altitude == max(TRANSMISSION_ALTITUDES) else f"{z[column]:.3g} km"
            curve = transmission[:, column]
            axes.plot(wavelength, curve, color=PALETTE[colour], linewidth=2, label=label)
            _label_curve(axes, wavelength, curve, label, PALETTE[colour])
        axes.axvline(REFERENCE_WAVELENGTH, color=PALETTE["faint"], linewidth=1, dashes=(4, 3))
        axes.text(
            REFERENCE_WAVELENGTH * 1.015, 0.02, "350 nm: closure", color=PALETTE["faint"], size=9.5
        )
        wavelength_axis(axes, wavelength)
        axes.set_ylim(0, 1)
        axes.set_ylabel("vertical transmission to the site")
    return figure


def evolution_figure(profile: QTable, dusk: Time, dawn: Time) -> Figure:
    """Density over the night relative to its mean, at several altitudes.

    Parameters
    ----------
    profile : QTable
        Product ``atmosphere/density_profile``: density_at_times (n_altitudes, n_times) and the
        header's times_utc.
    dusk, dawn : Time
        Of the astronomical night; what lies outside is shaded.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure()
        times = Time(profile.meta["calibpipe"]["times_utc"], format="isot", scale="utc")
        days = times.plot_date
        z = profile["altitude"].to_value(u.km)
        ends = []
        for altitude, colour in EVOLUTION_ALTITUDES.items():
            if altitude > z[-1]:
                continue
            row = int(np.argmin(np.abs(z - altitude)))
            change = 100 * (profile["density_at_times"][row] / profile["density"][row] - 1).value
            axes.plot(
                days,
                change,
                marker="o",
                markersize=6 if altitude == DECISIVE_ALTITUDE else 4.5,
                linewidth=2.6 if altitude == DECISIVE_ALTITUDE else 1.6,
                color=PALETTE[colour],
                label=f"{altitude:g} km",
            )
            ends.append((change[-1], f"{altitude:g} km", PALETTE[colour]))
        night_axis(axes, days, dusk, dawn)
        axes.axhline(0.0, color=PALETTE["faint"], linewidth=0.8, zorder=1)
        low, high = axes.get_ylim()
        half = max(abs(low), abs(high), 0.05)
        axes.set_ylim(-half, half)
        places = apart([value for value, _, _ in ends], 2 * half * 0.052)
        for place, (_, label, colour) in zip(places, ends, strict=True):
            axes.annotate(
                label,
                (1.0, place),
                xycoords=("axes fraction", "data"),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                size=10,
            )
        axes.set_ylabel("density / mean of the night − 1 (%)")
    return figure


def profile_figure(
    profile: QTable | None, reference: QTable | None, name: str, elevation: u.Quantity
) -> Figure:
    """Temperature and humidity against altitude, with those of the reference model.

    Parameters
    ----------
    profile : QTable or None
        Product ``atmosphere/density_profile``; None without data.
    reference : QTable or None
        Reference model to compare with.
    name : str
        Season of the reference model.
    elevation : Quantity
        Of the site.
    """
    with mpl.rc_context(STYLE):
        figure, (left, right) = new_figure(2)
        curves = [
            (profile, "the night", PALETTE["ink"], "-", 2.2),
            (reference, name, season_colour(name), "--", 1.6),
        ]
        for table, label, colour, style, width in curves:
            if table is None:
                continue
            z = table["altitude"].to_value(u.km)
            shown = z <= TOP_OF_LIGHT
            left.plot(
                table["temperature"].to_value(u.K)[shown],
                z[shown],
                style,
                color=colour,
                linewidth=width,
                label=label,
            )
            vapour = np.maximum(np.asarray(table["water_vapour_mole_fraction"], float), 1e-8)
            right.plot(vapour[shown], z[shown], style, color=colour, linewidth=width)
        right.set_xscale("log")
        decades(right.xaxis)
        left.set_xlabel("temperature (K)")
        right.set_xlabel("water vapour mole fraction")
        for axes in (left, right):
            altitude_axis(axes, elevation)
        right.set_ylabel("")
        right.tick_params(labelleft=False)
        legend_above(left)
    return figure


def _mark_choice(axes: Axes) -> None:
    """Line at the altitude where the model is chosen; its name where fewer curves run."""
    axes.axhline(DECISIVE_ALTITUDE, color=PALETTE["ink"], linewidth=1, dashes=(4, 3))
    curves = [line.get_data() for line in axes.lines if len(line.get_xdata()) > 2]
    to_the_right = sum(np.interp(DECISIVE_ALTITUDE, y, x) - 1 for x, y in curves) > 0
    note(axes, 0.005 if to_the_right else 0.995, DECISIVE_ALTITUDE, "15 km: decides the choice")


def _spread_of_nights(axes: Axes, model: QTable) -> None:
    """Shade of one standard deviation of the nights that a reference model is made from."""
    if "density_spread" not in model.colnames:
        return
    spread = (model["density_spread"] / model["density"]).to_value(u.one)
    z = model["altitude"].to_value(u.km)
    axes.fill_betweenx(z, 1 - spread, 1 + spread, color=PALETTE["faint"], alpha=0.18, linewidth=0)


def _drawn(line: Line2D) -> np.ndarray:
    """Extremes of a curve over altitude below 30 km; nothing for straight marks."""
    x, y = (np.asarray(values, float) for values in line.get_data())
    if x.size < 3:
        return np.array([1.0])
    return np.array([x[y <= TOP_OF_LIGHT].min(), x[y <= TOP_OF_LIGHT].max()])


def _optical_depth(extinction: QTable) -> np.ndarray:
    return np.asarray(extinction["optical_depth"], dtype=float)


def _spaced_rows(n: int, shown: int = 160) -> np.ndarray:
    """Rows of a table that a figure needs: both ends, denser at the short wavelengths."""
    return np.unique(
        np.round(np.geomspace(n / 4, 1.25 * n, shown) - n / 4).astype(int).clip(0, n - 1)
    )


def _first_at_least(values: np.ndarray, limit: float) -> float:
    return min((value for value in values if value >= limit), default=values[-1])


def _label_curve(
    axes: Axes, wavelength: np.ndarray, curve: np.ndarray, label: str, colour: str
) -> None:
    """Name on a curve, near 300 nm, on a patch of paper."""
    at = int(np.argmin(np.abs(wavelength - 300)))
    axes.text(
        wavelength[at],
        curve[at],
        label,
        color=colour,
        ha="center",
        va="center",
        size=10,
        bbox={"facecolor": PALETTE["paper"], "edgecolor": "none", "pad": 1.5},
    )
