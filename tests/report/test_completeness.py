"""What is absent, why, and the word at the top."""

import dataclasses

import pytest
from report.made_night import failure

from calibpipe.report.completeness import (
    absent_groups,
    absent_products,
    failure_facts,
    status,
)
from calibpipe.report.material import STEPS


def reasons(material):
    return {entry["path"]: entry["reason"] for entry in absent_products(material)}


def test_nothing_is_absent_from_a_whole_night(whole_material):
    assert absent_products(whole_material) == []
    band = status(whole_material, [], [])
    assert (band["level"], band["word"]) == ("complete", "Complete")
    assert band["sentence"].startswith("8 products; ")
    assert "intermediate" in band["sentence"]


def test_failed_step_and_all_that_waits_for_it(made_night):
    made_night.meteo_data()
    made_night.macobac()
    material = made_night.material(failures=[failure("atmosphere/density_profile")])
    waiting = "not made, because it needs atmosphere/density_profile, which failed"
    assert reasons(material) == {
        "atmosphere/density_profile.ecsv": "its step failed, see above",
        "atmosphere/reference_model.ecsv": waiting,
        "atmosphere/atmospheric_model.ecsv": waiting,
        "atmosphere/rayleigh_extinction.ecsv": waiting,
        "atmosphere/atmprof.dat": waiting,
        "atmosphere/atm_trans.dat": waiting,
    }
    band = status(material, absent_products(material), [])
    assert band == {
        "level": "failed",
        "word": "1 step failed",
        "sentence": "atmosphere/density_profile; 6 products not made.",
    }
    assert [group["reason"] for group in absent_groups(absent_products(material))] == [
        "its step failed, see above",
        waiting,
    ]


def test_two_failures_are_both_blamed(made_night):
    failures = [failure("atmosphere/meteo_data"), failure("atmosphere/macobac")]
    found = reasons(made_night.material(failures=failures))
    assert found["atmosphere/density_profile.ecsv"] == (
        "not made, because it needs atmosphere/meteo_data and atmosphere/macobac, which failed"
    )


def test_simulation_is_blamed_when_it_failed(made_night):
    found = reasons(made_night.material(failures=[failure("simulation/meteo")]))
    assert "needs simulation/meteo, which failed" in found["atmosphere/meteo_data.json"]
    assert "needs simulation/meteo, which failed" in found["atmosphere/atm_trans.dat"]
    assert "no failure is recorded" in found["atmosphere/macobac.ecsv"]


def test_without_any_record(made_night):
    made_night.meteo_data()
    material = made_night.material()
    found = reasons(material)
    assert found["atmosphere/macobac.ecsv"].endswith("run snakemake again")
    assert (
        "it needs atmosphere/macobac, which is absent" in found["atmosphere/density_profile.ecsv"]
    )
    band = status(material, absent_products(material), [])
    assert (band["level"], band["word"]) == ("failed", "Incomplete")
    assert band["sentence"] == "7 products absent, no failure recorded."


def test_unusable_product_says_why(whole_material):
    path = "atmosphere/macobac.ecsv"
    broken = dataclasses.replace(whole_material.products[path], problem="is no product: line 3")
    products = whole_material.products | {path: broken}
    material = dataclasses.replace(whole_material, products=products)
    assert reasons(material) == {path: "is no product: line 3"}


def test_by_date_the_weather_is_not_missed(made_night):
    made_night.make()
    made_night.reference_model(method="date", margin=float("nan"))
    for name in ("meteo_data.json", "density_profile.ecsv"):
        made_night[name].unlink()
    assert absent_products(made_night.material()) == []


def test_warnings_give_way_to_failures_only(whole_material):
    remarks = [
        {"level": "warning", "title": "Chosen by date", "text": ""},
        {"level": "note", "title": "CO2", "text": ""},
    ]
    assert status(whole_material, [], remarks) == {
        "level": "warning",
        "word": "Complete, look twice",
        "sentence": "Chosen by date.",
    }
    assert status(whole_material, [], remarks[1:])["level"] == "complete"
    failed = dataclasses.replace(whole_material, failures=[failure(), failure("simulation/meteo")])
    assert status(failed, [], remarks)["word"] == "2 steps failed"


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(2, "change it"), (100, "later"), (101, "change it"), (105, "missing"), (77, "unexpected")],
)
def test_exit_codes_have_a_meaning(code, meaning):
    assert meaning in failure_facts(failure(exit_code=code))["meaning"]


def test_a_record_may_lack_everything():
    assert failure_facts({})["step"] == "unknown"


def test_steps_come_after_what_they_need():
    seen = set()
    for step in STEPS:
        assert set(step.needs) <= seen
        seen.add(step.name)
