"""Section of the page about the optical throughput of the telescopes."""

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure

from .inline_svg import inline_svg
from .material import NightMaterial
from .throughput_numbers import (
    TelescopeMuons,
    applied_factor,
    corrections,
    overview,
    rejections,
    telescopes,
)
from .wording import rounded

__all__ = ["throughput_facts"]


def throughput_facts(material: NightMaterial) -> dict[str, Any] | None:
    """Table of all telescopes, and figures of each; None where no rings are expected."""
    found = telescopes(material)
    if not found:
        return None
    products = [p for t in found for p in (t.throughput, *t.rings) if p]
    low, high = products[0].facts["band_in_nm"] if products else (300.0, 600.0)
    return {
        "about": f"Photo-electrons per Cherenkov photon of {low:.0f} to {high:.0f} nm that reaches "
        "the mirror, from muon rings. σ: width per axis of the optical point spread function at "
        "the angle of the rings; θ₈₀: radius that holds 80 % of the light of a point.",
        "rows": overview(material),
        "history": _history(material),
        "telescopes": [_telescope(t) for t in found if t.has_products],
    }


def _history(material: NightMaterial) -> dict[str, Any] | None:
    """Of the nights before; figures are drawn only if there are any."""
    from .throughput_history import history_facts

    return history_facts(material)


def _telescope(telescope: TelescopeMuons) -> dict[str, Any]:
    name = f"throughput-{telescope.name}"
    return {
        "id": name,
        "name": telescope.name,
        "corrections": corrections(telescope) if telescope.throughput else [],
        "figures": [
            {
                "name": f"{name}-{part}",
                "title": title,
                "caption": caption,
                "svg": inline_svg(figure, f"{name}-{part}", f"{title}. {caption}"),
            }
            for part, title, caption, figure in _figures(telescope)
        ],
    }


def _figures(telescope: TelescopeMuons) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption, figure; of what there is."""
    from . import throughput_figures as draw  # ctapipe's display is slow to import

    yield from _of_example(telescope)
    if telescope.value is not None:
        tables = telescope.throughput.tables
        yield (
            "night",
            "Throughput over the night",
            "Points with bars: chunks, statistical errors. Line and dark band: the night and its "
            "statistical error; light band: with the systematic one. Dashed: what ctapipe's fit "
            "gives for the same rings, without corrections. Dots: single rings.",
            draw.throughput_figure(
                tables["chunks"],
                tables["night"],
                [product.tables["rings"] for product in telescope.rings],
                applied_factor(telescope),
            ),
        )
    if telescope.psf is not None:
        yield from _of_optics(telescope)
    if (telescope.rings or telescope.throughput) and (reasons := rejections(telescope)):
        yield (
            "rejected",
            "Why images were no rings",
            f"{telescope.n_images - _n_good(telescope)} of {telescope.n_images} images; one may "
            "have several reasons.",
            draw.rejection_figure(reasons, telescope.n_images),
        )


def _n_good(telescope: TelescopeMuons) -> int:
    products = telescope.rings or [telescope.throughput]
    return sum(product.facts["rejected"]["good"] for product in products)


def _of_example(telescope: TelescopeMuons) -> Iterator[tuple[str, str, str, Figure]]:
    """A ring and what its fit leaves, of the first block that has one."""
    from . import throughput_figures as draw

    product = next((p for p in telescope.rings if "example" in p.tables), None)
    if product is None:
        return
    example = product.tables["example"]
    row, mirror_radius = example[0], product.facts["mirror_radius_in_m"]
    radius, width = (f"{float(row[name]):.3f}" for name in ("radius", "width"))
    yield (
        "ring",
        "A muon ring",
        f"Event {row['event_id']} of observation {product.facts['obs_id']}; fitted circle of "
        f"radius {radius}° and width {width}°, throughput {float(row['throughput']):.3f}. The "
        "arrow points to the brightest part of the ring; it is as long as the impact distance, if "
        f"the circle is the mirror's rim ({mirror_radius:.1f} m). Grey pixels are not used.",
        draw.ring_figure(example, product.geometry, mirror_radius),
    )
    yield (
        "residual",
        "What the fit leaves of it",
        "Charge of each pixel less what the fitted muon lets expect. Light left along one side of "
        "the circle (dashed) would tell of a wrong centre or width.",
        draw.residual_figure(example, product.geometry),
    )


def _of_optics(telescope: TelescopeMuons) -> Iterator[tuple[str, str, str, Figure]]:
    """Widths of rings and sectors of the mirror."""
    from . import throughput_figures as draw

    tables = telescope.psf.tables
    row = tables["psf"][0]
    value, stat, sys = (float(row[name]) for name in ("width", "stat_error", "sys_error"))
    told = "σ = {}° ± {} (stat) ± {} (sys)".format(*rounded(value, stat, sys))
    if not row["is_valid"]:
        told = f"σ below {rounded(float(row['upper_limit']), digits=2)[0]}°"
    yield (
        "widths",
        "Widths of the rings",
        "Points: means of squared widths by radius. Areas, one on the other: the optics (the same "
        "for all rings), colours of the light, drift along the mirror, bending and scattering of "
        "the muon. "
        f"Result: {told}.",
        draw.width_figure(tables["profile"], tables["psf"]),
    )
    if "sectors" in tables:
        yield (
            "sectors",
            "Sectors of the mirror",
            "Mean radial shift of the light from the rings, by azimuth on the mirror, against the "
            "other sectors. Red diamonds: significant.",
            draw.sector_figure(tables["sectors"]),
        )
