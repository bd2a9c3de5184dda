"""Nights of a site made by hand: what the archive would say of them."""

from datetime import date, timedelta

from astropy.time import Time

from calibpipe.archive.trends import NightValue, NightVerdict, SiteTrends

MUON, CAMERA = "throughput/muon_throughput", "camera/coefficients"
PROFILE, TRACKING = "atmosphere/density_profile", "pointing/star_tracking"
TELESCOPES = [f"LSTN-0{n}" for n in range(1, 5)]
QUANTITIES = {  # kind: quantities with value, step from telescope to telescope, error, unit
    MUON: [("optical_throughput", 0.20, 0.002, 0.001, "")],
    CAMERA: [
        ("gain", 80.0, 0.5, 0.2, "ADC / p.e."),
        ("pedestal", 400.0, 0.3, 0.05, "ADC / sample"),
    ],
    TRACKING: [("pointing_offset_azimuth", -20.0, 5.0, 2.0, "arcsec")],
    PROFILE: [("number_density_15km", 4.6e18, 0.0, 2e16, "1 / cm3")],
}


def verdict(night, kind, telescope="", category="C", result="PASS", **more):
    """A product of a night; certified if it passed."""
    certified = more.pop("is_certified", result == "PASS")
    failed = ("MUO-04 chunk_residual",) if result == "FAIL" else ()
    values = {"block": "", "product_id": f"{night} {kind} {telescope} {category}"}
    values |= {"begin_utc": f"{night}T22:00:00.5", "failed": failed} | more
    return NightVerdict(
        kind=kind,
        category=category,
        night=str(night),
        array_element=telescope,
        verdict=result,
        is_certified=certified,
        **values,
    )


def values_of(product, rank=0, offset=0.0):
    """Values of a product, with a statistical and a systematic error."""
    return [
        NightValue(
            quantity,
            product.array_element,
            product,
            middle + step * (rank + offset),
            error,
            None if quantity == "pedestal" else 3 * error,
            unit,
        )
        for quantity, middle, step, error, unit in QUANTITIES[product.kind]
    ]


def made_trends(n_nights=40, last="2024-07-10", telescopes=TELESCOPES, now="2024-07-12T12:00:00"):
    """Nights of category B, of category C but the last 20; every 13th night fails in LSTN-02.

    Values repeat after seven nights.
    """
    end, verdicts, values = date.fromisoformat(last), [], []
    for back in range(n_nights):
        night = end - timedelta(days=back)
        for category in ("B", "C")[: 1 if back < 20 else 2]:
            for rank, telescope in enumerate(["", *telescopes]):
                for kind in (MUON, CAMERA, TRACKING) if telescope else (PROFILE,):
                    bad = telescope == "LSTN-02" and kind == MUON and back % 13 == 0
                    result = "FAIL" if bad else "PASS"
                    product = verdict(night, kind, telescope, category, result)
                    verdicts.append(product)
                    values += values_of(product, rank, (back % 7) / 7)
    ages = [
        {
            "kind": MUON,
            "data_id": {"site": "CTAO-North", "telescope": telescope},
            **{"cadence": "nightly", "last_end": "2024-07-11T12:00:37.000"},
            **{"days": 1.0 + rank, "is_overdue": rank > 0},
        }
        for rank, telescope in enumerate(telescopes[:3])
    ]
    return SiteTrends(
        site="CTAO-North",
        now=Time(now),
        telescopes=list(telescopes),
        verdicts=sorted(verdicts, key=lambda v: (v.night, v.kind, v.array_element, v.category)),
        values=sorted(values, key=lambda v: v.product.night),
        limits={(MUON, "throughput"): (0.05, 0.203)},
        ages=ages,
    )
