"""The key numbers are the products' numbers."""

from calibpipe.report.key_numbers import key_numbers


def by_name(material):
    return {
        number["name"].replace("\N{NO-BREAK SPACE}", " "): number
        for number in key_numbers(material)
    }


def test_numbers_of_the_whole_night(whole_material):
    """960 g/cm2 exp(-2.158/8) = 733.03, 0.3 and 0.4 % of it; 2.8 exp(-2.158/8) = 2.1380."""
    numbers = by_name(whole_material)
    density = numbers["Number density at 15 km"]
    assert (density["value"], density["total"], density["unit"]) == (
        "4.500",
        "0.020",
        "× 10¹⁸ cm⁻³",
    )
    assert density["notes"] == [
        "reference model intermediate, version 3",
        "3.0 σ from the nearest boundary",
        "+0.4 % from the density of the model",  # 4.50 / 4.48
    ]
    thickness = numbers["Thickness at 2158 m"]
    assert (thickness["value"], thickness["stat"], thickness["sys"]) == ("733.0", "2.2", "2.9")
    assert thickness["unit"] == "g/cm²"
    n = numbers["Refractivity n − 1 at the site"]
    assert (n["value"], n["stat"], n["sys"], n["unit"]) == ("2.1380", "0.0064", "0.0086", "× 10⁻⁴")
    assert n["notes"] == ["at a wavelength of 400 nm"]
    depth = numbers["Optical depth τ at 350 nm"]
    assert (depth["value"], depth["stat"], depth["sys"]) == ("0.45000", "0.00045", "0.00180")
    assert depth["notes"] == ["closure with the pressure at the site −0.120 % (limit ±0.3 %)"]
    assert depth["meter"] == {"place": 30.0}  # -0.12 of -0.3: two fifths left of the middle
    data = numbers["Data of the night"]
    assert (data["value"], data["unit"]) == ("7.06", "of 7.06 h")
    assert data["notes"] == [
        "ERA5, 9 analyses, at most 1 h apart",
        "from dusk to dawn without a gap",
    ]
    co2 = numbers["CO₂ mole fraction"]
    assert (co2["value"], co2["stat"], co2["sys"]) == ("424.00", "0.10", "0.30")
    assert co2["notes"] == ["measured, 2023-07 to 2024-06", "age 10 days", "monthly.csv"]
    layers = numbers["Five-layer fit, largest residual"]
    assert (layers["value"], layers["notes"][0]) == ("0.41", "2.6 % of density")
    assert numbers["Data reach up to"]["value"] == "39.9"


def test_published_densities_are_named_as_such(whole_material, monkeypatch):
    """They need not be those of the pool's profile, which the figure shows."""
    model = whole_material.usable("reference_model")
    monkeypatch.setitem(model.facts, "number_density_15km_source", "published for the site")
    density = by_name(whole_material)["Number density at 15 km"]
    assert density["notes"][-1] == "+0.4 % from its published density"


def test_uncovered_hours_are_taken_off(made_night):
    made_night.meteo_data()
    made_night.macobac()
    made_night.density_profile(uncovered=(0.25, 0.5))
    data = by_name(made_night.material())["Data of the night"]
    assert (data["value"], data["unit"]) == ("6.31", "of 7.06 h")
    assert "uncovered: 0.25 h after dusk, 0.50 h before dawn" in data["notes"]


def test_without_products_every_number_says_what_it_needs(made_night):
    for number in key_numbers(made_night.material()):
        assert number["value"] == "–"
        assert number["notes"][0].startswith("needs ")


def test_by_date_the_density_is_that_of_the_model(made_night):
    made_night.reference_model(method="date", margin=float("nan"))
    made_night.atmospheric_model(top=0.0)
    numbers = by_name(made_night.material())
    density = numbers["Number density at 15 km"]
    assert (density["value"], density["total"]) == ("4.4800", "")
    assert density["notes"][0] == "of the reference model, not of the night"
    assert density["notes"][-1] == "chosen by date, not by density"
    assert numbers["Data of the night"]["notes"] == ["none: the date chose the reference model"]
    assert "reference atmosphere alone" in numbers["Thickness at 2158 m"]["notes"]
    assert numbers["Data reach up to"]["value"] == "–"


def test_a_single_model_has_no_boundary(made_night):
    made_night.meteo_data()
    made_night.macobac()
    made_night.density_profile()
    made_night.reference_model(margin=float("inf"))
    density = by_name(made_night.material())["Number density at 15 km"]
    assert density["notes"][1] == "the only model of the pool"
