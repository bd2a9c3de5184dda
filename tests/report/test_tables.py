"""Tables of the page."""

import dataclasses

from report.made_night import CARDS, failure

from calibpipe.core.files import sha256
from calibpipe.report.tables import (
    configuration_facts,
    five_layers,
    input_facts,
    product_facts,
    versions,
)


def test_products_with_status_identifier_and_checksum(whole_night, whole_material):
    rows = {row["path"]: row for row in product_facts(whole_material)}
    assert len(rows) == 8
    row = rows["atmosphere/macobac.ecsv"]
    assert (row["status"], row["state"]) == ("COMPLETE", "good")
    assert row["sha256"] == sha256(whole_night["macobac.ecsv"])
    assert row["id"] == whole_material.products[row["path"]].header["CTA PRODUCT ID"]
    assert row["link"] == "../atmosphere/macobac.ecsv"
    assert row["size"] == f"{whole_night['macobac.ecsv'].stat().st_size / 1000:.1f} kB"
    assert rows["atmosphere/atmprof.dat"]["status"] == "written"  # has no header of its own


def test_product_of_a_step_that_failed_last_is_of_an_earlier_run(whole_material):
    material = dataclasses.replace(whole_material, failures=[failure("atmosphere/macobac")])
    states = {row["path"]: row["state"] for row in product_facts(material)}
    assert [path for path, state in states.items() if state == "bad"] == ["atmosphere/macobac.ecsv"]


def test_absent_products_keep_their_row(made_night):
    rows = product_facts(made_night.material(failures=[failure("atmosphere/meteo_data")]))
    assert len(rows) == 8
    assert {row["state"] for row in rows} == {"absent"}
    assert rows[0]["status"] == "its step failed, see above"


def test_products_left_out_by_date(made_night):
    made_night.reference_model(method="date", margin=float("nan"))
    rows = {row["path"]: row for row in product_facts(made_night.material())}
    assert rows["atmosphere/density_profile.ecsv"]["status"].startswith("left out: the date")


def test_inputs_are_listed_once_without_the_products_of_the_night(made_night, tmp_path):
    outside = tmp_path / "era5.grib"
    outside.write_bytes(b"GRIB")
    made_night.make()
    material = made_night.material()
    assert input_facts(material) == []  # all inputs are products of this night
    products = {}
    for path, product in material.products.items():
        entry = {"role": "meteo_file", "path": str(outside), "sha256": sha256(outside)}
        facts = product.facts | {"inputs": [entry]} if product.facts else {}
        products[path] = dataclasses.replace(product, header={"calibpipe": facts})
    (row,) = input_facts(dataclasses.replace(material, products=products))
    assert row["path"] == str(outside)
    assert row["used_by"] == [
        "meteo_data",
        "macobac",
        "density_profile",
        "reference_model",
        "atmospheric_model",
        "rayleigh_extinction",
    ]


def test_configuration_of_every_tool(whole_material):
    rows = configuration_facts(whole_material)
    assert len(rows) == 6
    assert rows[0]["tool"] == "calibpipe-make-meteo_data"
    assert rows[0]["values"] == {"altitude_step_in_m": "100.0"}
    assert len(rows[0]["digest"]) == 64


def test_versions_begin_with_our_own(whole_material):
    assert next(iter(versions(whole_material))) == "calibpipe"


def test_five_layers_and_their_cards(whole_material, made_night):
    layers = five_layers(whole_material)
    assert layers["cards"] == "\n".join(CARDS)
    assert layers["rows"][0] == ["1", "0.000", "−186.5", "1222.6", "994186.4"]
    assert layers["rows"][4][4] == "1e+09"
    assert five_layers(made_night.material()) is None
