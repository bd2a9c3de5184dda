"""calibpipe-fit-pointing-model: from star tracking of nights to a certified model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tables
import yaml
from ctapipe.core import run_tool
from declared_products import missing, product_tables
from pointing_offsets import TERMS, TRUE, made, write_tracking

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.core.exceptions import (
    ConfigurationError,
    CorruptedInputError,
    InsufficientStatisticsError,
    MissingInputError,
)
from calibpipe.core.product_header import read_product_header
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.pointing.pointing_model import predicted_offsets
from calibpipe.pointing.pointing_model_table import pointing_model_of
from calibpipe.pointing.pointing_terms import design_matrix
from calibpipe.tools.fit_pointing_model import (
    NIGHTS_GROUP,
    RESIDUALS_GROUP,
    TERMS_GROUP,
    FitPointingModel,
)
from calibpipe.tools.verify import Verify


class Telescope:
    """LSTN-01 with three nights of star tracking."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.keys = [f"--site={root}/config/sites/CTAO-North.yaml", "--category=C", "--overwrite"]

    def fit(self, paths, *options, night="2024-07-12", name="model.h5", **settings):
        shipped = yaml.safe_load((self.root / "config/tools/fit_pointing_model.yaml").read_text())
        shipped["FitPointingModel"] |= settings
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(shipped))
        argv = [*self.keys, f"--night={night}", *(f"--input={path}" for path in paths)]
        argv += [f"--config={config}", *options]
        output = self.folder / name
        run_tool(FitPointingModel(), [*argv, f"--output={output}"], cwd=self.folder, raises=True)
        return output

    def verify(self, product, *options, night="2024-07-12"):
        record = self.folder / "record.json"
        argv = [*self.keys, f"--night={night}", f"--product={product}", f"--output={record}"]
        argv += [f"--criteria={self.root}/config/criteria.yaml", *options]
        run_tool(Verify(), argv, cwd=self.folder, raises=True)
        return json.loads(record.read_text())["content"]


@pytest.fixture
def measured():
    return made(np.random.default_rng(7), 150, nights=3, correlation=0.3, sys_error=1.0)


@pytest.fixture
def telescope(root, tmp_path):
    return Telescope(root, tmp_path)


def read(path, group):
    return read_telescope_table(path, group, 1, "pointing model")


def test_nights_to_a_model(telescope, measured, tmp_path):
    measured.offset[5] += 300.0
    path = telescope.fit(write_tracking(tmp_path, measured))
    assert not [*missing(*product_tables(path))]
    terms, own = read(path, TERMS_GROUP), read_product_header(path).own
    assert list(terms["term"]) == list(TERMS)
    assert terms["value"].unit == "arcsec"
    error = np.hypot(terms["stat_error"].value, terms["sys_error"].value)
    assert np.all(np.abs(terms["value"].value - TRUE) < 4 * error)
    assert not terms["is_fixed"].any()
    assert np.all(np.abs(terms["significance"][[4, 5, 6]]) > 5)
    assert np.all(terms["bic_gain"][[4, 5, 6]] > 6)
    residuals, nights = read(path, RESIDUALS_GROUP), read(path, NIGHTS_GROUP)
    assert len(residuals) == 150
    assert residuals["is_outlier"].sum() == 1
    rms = np.sqrt(
        np.mean(
            residuals["dlon_residual"][residuals["is_used"]] ** 2
            + residuals["dlat_residual"][residuals["is_used"]] ** 2
        )
    )
    assert own["sky_rms_in_arcsec"] == pytest.approx(rms)
    assert own["sky_rms_before_in_arcsec"] > 3 * own["sky_rms_in_arcsec"]
    assert nights["n_measurements"].tolist() == [50, 50, 50]
    assert nights["n_used"].sum() == 149
    assert (own["n_measurements"], own["n_used"], own["n_outliers"]) == (150, 149, 1)
    assert own["nights"] == ["2024-07-10", "2024-07-11", "2024-07-12"]
    assert own["array_element"] == "LSTN-01"
    assert own["tests"]["nights"]["n_dof"] == 4
    assert own["remarks"] == []
    begin, end = own["validity"]["begin_utc"], own["validity"]["end_utc"]
    assert (begin[:13], end[:13]) == ("2024-07-12T11", "2024-08-11T11")


def test_model_of_a_file_predicts(telescope, measured, tmp_path):
    path = telescope.fit(write_tracking(tmp_path, measured))
    model = pointing_model_of(read(path, TERMS_GROUP), read_product_header(path).own)
    azimuth, altitude = np.arange(0, 360, 20.0), 50.0
    found = predicted_offsets(azimuth, altitude, model)
    true = design_matrix(TERMS, azimuth, altitude) @ TRUE
    assert np.all(np.abs(found.offset - true) < 4 * found.error)
    assert found.error.max() < 5


def test_same_input_same_bytes_whatever_the_order(telescope, measured, tmp_path):
    paths = write_tracking(tmp_path, measured)
    one, other = telescope.fit(paths), telescope.fit(paths[::-1], name="again.h5")
    assert read_product_header(one).product_id == read_product_header(other).product_id


def test_terms_are_selected(telescope, tmp_path):
    m = made(np.random.default_rng(3), 150, terms=(*TERMS, "HASA2"), value=[*TRUE, 30.0], nights=3)
    path = telescope.fit(write_tracking(tmp_path, m), candidates=["TX", "HASA2"])
    assert list(read(path, TERMS_GROUP)["term"]) == [*TERMS, "HASA2"]
    assert read_product_header(path).own["selection"][0]["term"] == "HASA2"


def test_nights_that_do_not_agree(telescope, tmp_path):
    rng = np.random.default_rng(11)
    m = made(rng, 180, nights=3, night_offset=[[0, 0], [0, 30], [0, -30]])
    paths = write_tracking(tmp_path, m)
    own = read_product_header(telescope.fit(paths)).own
    assert "nights do not agree in IA and IE" in own["remarks"][0]
    path = telescope.fit(paths, "--free-nights")
    own = read_product_header(path).own
    assert own["night_scatter_in_arcsec"][1] == pytest.approx(30, abs=3)
    assert own["sky_rms_in_arcsec"] < 10
    nights = read(path, NIGHTS_GROUP)
    assert np.all(
        np.abs(nights["ie_offset"].value - [0, 30, -30]) < 4 * nights["ie_offset_error"].value
    )


def test_narrow_altitudes(telescope, tmp_path):
    m = made(np.random.default_rng(3), 150, altitude=(52, 58), nights=3)
    path = telescope.fit(write_tracking(tmp_path, m), priors_in_arcsec={"NPAE": [-20, 15]})
    terms = read(path, TERMS_GROUP)
    fixed = terms[terms["is_fixed"]]
    assert list(fixed["term"]) == ["NPAE"]
    assert fixed["value"].value == [-20]
    assert np.isnan(fixed["significance"]).all()
    assert "NPAE is not determined" in read_product_header(path).own["remarks"][0]


def test_verified_and_certified(telescope, measured, north, tmp_path):
    """A second model fails when the telescope was aligned anew."""
    archive = init_archive(tmp_path / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    path = telescope.fit(write_tracking(tmp_path, measured))
    record = telescope.verify(path)
    assert (record["verdict"], record["because"]) == ("PASS", [])
    header = read_product_header(path)
    certify(archive, [Candidate(header, verdict="PASS")], author="me", reason="a test")
    given = f"--archive={archive.location}"
    later = tmp_path / "later"
    later.mkdir()
    for change, verdict in ((0.0, "PASS"), (60.0, "FAIL")):
        m = made(np.random.default_rng(8), 150, nights=3, value=TRUE + change * np.eye(7)[1])
        m = replace(m, nights=("2024-07-11", "2024-07-12", "2024-07-13"))
        again = telescope.fit(write_tracking(later, m), night="2024-07-13", name="later.h5")
        record = telescope.verify(again, given, night="2024-07-13")
        assert list(record["compared_with"].values()) == [str(header.product_id)]
        assert record["verdict"] == verdict
        if verdict == "PASS":  # both hold for a month: the newer one counts
            newer = Candidate(read_product_header(again), verdict="PASS")
            certify(archive, [newer], author="me", reason="a test", supersede=True)
    assert record["because"][0].startswith("PTM-21 offset_change")
    assert "312 of 312 outside 0 to 14 arcsec (median 56" in record["because"][0]  # all of the sky


def test_a_bad_model_fails(telescope, tmp_path):
    m = made(np.random.default_rng(5), 60, nights=2, scatter=(25, 25))
    record = telescope.verify(telescope.fit(write_tracking(tmp_path, m), night="2024-07-11"))
    assert record["verdict"] == "FAIL"
    failed = {reason.split()[0] for reason in record["because"]}
    assert failed == {"PTM-01", "PTM-02", "PTM-07"}


def test_nights_that_are_certified(telescope, measured, north, tmp_path):
    """The archive's star tracking of this telescope, from the nights that are asked for."""
    archive = init_archive(tmp_path / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    for path in write_tracking(tmp_path, measured):
        candidate = Candidate(read_product_header(path), verdict="PASS")
        certify(archive, [candidate], author="me", reason="a test")
    options = [f"--archive={archive.location}", "--telescope=LSTN-01"]
    model = read_product_header(telescope.fit([], *options)).own
    assert model["nights"] == ["2024-07-10", "2024-07-11", "2024-07-12"]
    assert model["n_measurements"] == 150
    last = read_product_header(telescope.fit([], *options, n_nights=1)).own
    assert last["nights"] == ["2024-07-12"]
    with pytest.raises(MissingInputError, match=r"no certified .* of LSTN-02 from the night"):
        telescope.fit([], options[0], "--telescope=LSTN-02")


def test_what_is_refused(telescope, measured, tmp_path):
    paths = write_tracking(tmp_path, measured)
    with pytest.raises(ConfigurationError, match="needs either --input, star tracking of nights"):
        telescope.fit([])
    with pytest.raises(ConfigurationError, match="night 2024-07-12, later than --night 2024-07-11"):
        telescope.fit(paths, night="2024-07-11")
    with pytest.raises(ConfigurationError, match="given twice"):
        telescope.fit([*paths, paths[0]])
    other = write_tracking(tmp_path, measured, 2, "LSTN-02")
    with pytest.raises(ConfigurationError, match=r"several telescopes \(tel_id: 1, 2\)"):
        telescope.fit([paths[0], other[1]])
    with pytest.raises(
        InsufficientStatisticsError, match="at least 60 usable measurements, got 50"
    ):
        telescope.fit(paths[:1], min_measurements=60)
    with pytest.raises(ConfigurationError, match="'FOO' is no term"):
        telescope.fit(paths, candidates=["FOO"])
    with pytest.raises(ConfigurationError, match="prior of CA is 3: give value and error"):
        telescope.fit(paths, priors_in_arcsec={"CA": 3})
    with pytest.raises(MissingInputError, match=r"absent\.h5"):
        telescope.fit([tmp_path / "absent.h5"])


def test_other_files_are_refused(telescope, measured, tmp_path):
    (elsewhere, *_) = write_tracking(tmp_path, measured, site="CTAO-South")
    with pytest.raises(ConfigurationError, match="is of CTAO-South, the site is CTAO-North"):
        telescope.fit([elsewhere])
    (failed, *_) = write_tracking(tmp_path, measured, status="no stars")
    with pytest.raises(MissingInputError, match="is not complete: no stars"):
        telescope.fit([failed])
    path = telescope.fit(write_tracking(tmp_path, measured))
    with pytest.raises(CorruptedInputError, match="holds no star tracking"):
        telescope.fit([path])
    (tracking, *_) = write_tracking(tmp_path, measured)
    with tables.open_file(tracking, "a") as h5file:
        own = json.loads(h5file.root._v_attrs["calibpipe"])
        h5file.root._v_attrs["calibpipe"] = json.dumps(own | {"kind": "pointing/other"})
    with pytest.raises(
        ConfigurationError, match="'pointing/other', needs 'pointing/star_tracking'"
    ):
        telescope.fit([tracking])
