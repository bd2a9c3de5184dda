"""The night on two lines: places in percent."""

from itertools import pairwise

import pytest

from calibpipe.report.strips import density_scale, timeline


def test_timeline_is_linear_in_time(whole_material):
    line = timeline(whole_material)
    places = [analysis["place"] for analysis in line["analyses"]]
    steps = [b - a for a, b in pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 8, abs=0.02)
    assert [a["time"] for a in line["analyses"]][:2] == ["21:00", "22:00"]
    hour = steps[0]
    assert line["dusk"] - places[0] == pytest.approx(45.4308 / 60 * hour, abs=0.02)  # 21:45:25.8
    assert line["dawn"] - places[7] == pytest.approx(48.9649 / 60 * hour, abs=0.02)  # 04:48:57.9
    assert line["gaps"] == []
    assert [label["label"] for label in line["hours"]] == ["22:00", "00:00", "02:00", "04:00"]
    assert line["hours"][0]["place"] == pytest.approx(places[1], abs=0.02)


def test_gaps_are_part_of_the_night(made_night):
    made_night.meteo_data()
    made_night.macobac()
    made_night.density_profile(uncovered=(0.5, 1.0))
    line = timeline(made_night.material())
    first, last = line["gaps"]
    assert first["begin"] == line["dusk"]
    assert last["begin"] + last["width"] == pytest.approx(line["dawn"], abs=0.02)
    assert last["width"] == pytest.approx(2 * first["width"], abs=0.02)


def test_without_products_the_night_alone(made_night):
    line = timeline(made_night.material())
    assert line["analyses"] == []
    assert line["dusk"] < line["dawn"]


def test_without_darkness_no_line(made_night):
    assert timeline(made_night.material(darkness=None)) is None


def test_densities_on_a_line(whole_material):
    """Models at 4.30, 4.48, 4.60; boundaries 4.39 and 4.54; the night 4.50 +- 0.02."""
    scale = density_scale(whole_material)
    place = {model["season"]: model["place"] for model in scale["models"]}
    per_unit = (place["summer"] - place["winter"]) / 0.30

    def at(density):
        return pytest.approx(place["winter"] + (density - 4.30) * per_unit, abs=0.03)

    assert place["intermediate"] == at(4.48)
    assert scale["boundaries"] == [at(4.39), at(4.54)]
    assert scale["night"]["place"] == at(4.50)
    assert scale["night"]["begin"] == at(4.48)
    assert scale["night"]["width"] == pytest.approx(0.04 * per_unit, abs=0.03)
    assert [model["season"] for model in scale["models"] if model["chosen"]] == ["intermediate"]
    assert [model["density"] for model in scale["models"]] == ["4.300", "4.480", "4.600"]


def test_scale_by_date_has_no_night(made_night):
    made_night.reference_model(method="date", margin=float("nan"))
    assert density_scale(made_night.material())["night"] is None


def test_no_scale_without_a_choice(made_night):
    assert density_scale(made_night.material()) is None
