"""Forced decisions, fallbacks and doubts are said."""

import dataclasses

import pytest

from calibpipe.report.remarks import night_remarks


def titles(material, level=None):
    remarks = night_remarks(material)
    return [remark["title"] for remark in remarks if level in (None, remark["level"])]


def test_a_good_night_needs_no_remark(whole_material):
    assert night_remarks(whole_material) == []


def test_choice_by_date_is_the_first_thing_said(made_night):
    made_night.macobac(method="last_known")
    made_night.reference_model(method="date", margin=float("nan"), reason="fell back: no archive")
    first, second = night_remarks(made_night.material())
    assert first["level"] == "warning"
    assert first["title"] == "Reference model intermediate was chosen by date, not by density"
    assert first["text"].startswith("Fell back: no archive. ")
    assert second["level"] == "note"


def test_close_choice(made_night):
    made_night.meteo_data()
    made_night.macobac()
    made_night.density_profile()
    made_night.reference_model(margin=1.96)
    (remark,) = night_remarks(made_night.material())
    assert remark["level"] == "warning"
    assert "2.0 σ from the boundary to another model (limit 2 σ)" in remark["text"]
    assert night_remarks(made_night.material(margin_limit=1.9)) == []


@pytest.mark.parametrize(
    ("content", "title", "level"),
    [
        ({"release": "preliminary"}, "preliminary (ERA5T)", "warning"),
        ({"forecast_hours": 6.0}, "Forecasts instead of analyses", "warning"),
        ({"dataset": "unknown"}, "from given files", "note"),
    ],
)
def test_weather_that_is_not_as_it_should_be(made_night, content, title, level):
    made_night.meteo_data(**content)
    (remark,) = night_remarks(made_night.material())
    assert title in remark["title"]
    assert remark["level"] == level


def test_simulated_weather_does_not_pass_for_real(whole_material):
    path = "atmosphere/meteo_data.json"
    product = whole_material.products[path]
    entry = {"role": "meteorological data", "path": "x/simulation/meteo.grib", "sha256": "0"}
    header = product.header | {"calibpipe": product.facts | {"inputs": [entry]}}
    products = whole_material.products | {path: dataclasses.replace(product, header=header)}
    (remark,) = night_remarks(dataclasses.replace(whole_material, products=products))
    assert (remark["level"], remark["title"]) == ("note", "Simulated weather")


def test_hours_without_data(made_night):
    made_night.meteo_data()
    made_night.macobac()
    made_night.density_profile(uncovered=(0.25, 0.0))
    (remark,) = night_remarks(made_night.material())
    assert remark["title"] == "0.25 h of the night have no data"
    assert "0.25 h after dusk and 0.00 h before dawn" in remark["text"]


def test_old_or_assumed_co2(made_night):
    made_night.macobac(age=401)
    (remark,) = night_remarks(made_night.material())
    assert remark["text"].startswith("The record ends 401 days before it: measured, 2023-07 to")
    assert titles(made_night.material(co2_age_limit=500)) == []
    made_night.macobac(method="last_known")
    (remark,) = night_remarks(made_night.material())
    assert remark["text"].startswith("No record could be had: ")
    assert "last known annual mean, 2023-07 to 2024-06 (monthly.csv)" in remark["text"]


def test_product_made_from_another_input(made_night):
    made_night.make()
    made_night.macobac(age=11)  # made again after the density profile
    assert titles(made_night.material(), "warning") == [
        "atmosphere/density_profile.ecsv was made from another macobac.ecsv"
    ]


def test_product_of_another_night(whole_material):
    material = dataclasses.replace(whole_material, night="2024-07-11")
    found = titles(material, "warning")
    assert len(found) == 6
    assert all("is of another night" in title for title in found)


def test_mixed_versions(whole_material):
    path = "atmosphere/macobac.ecsv"
    product = whole_material.products[path]
    software = product.facts["software"] | {"calibpipe": "0.0.1"}
    header = product.header | {"calibpipe": product.facts | {"software": software}}
    products = whole_material.products | {path: dataclasses.replace(product, header=header)}
    (remark,) = night_remarks(dataclasses.replace(whole_material, products=products))
    assert remark["title"] == "The products were made with different software versions"
    assert "Calibpipe 0.0.1, " in remark["text"]
