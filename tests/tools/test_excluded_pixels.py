"""Excluded pixels night by night, the history out of the calibration archive."""

import numpy as np
import pytest
import yaml
from astropy.table import Table
from astropy.time import Time
from ctapipe.core import run_tool
from tools.test_calibration_runs import spe_product

from calibpipe.archive.candidate import Candidate
from calibpipe.archive.certify import certify
from calibpipe.archive.observatory import upload_site
from calibpipe.archive.repository import init_archive
from calibpipe.camera.outliers import PixelReason
from calibpipe.core.exceptions import ConfigurationError
from calibpipe.core.monitoring_file import write_camera_coefficients
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata, write_json
from calibpipe.core.telescope import telescope_subarray
from calibpipe.core.telescope_file import read_telescope_table
from calibpipe.tools.select_excluded_pixels import (
    HISTORY_GROUP,
    PIXELS_GROUP,
    SelectExcludedPixels,
)

N_PIXELS, N_ROWS = 1855, 4
DECISION = {
    "decision": "exclude_pixels",
    "site": "CTAO-North",
    "telescope": "LSTN-01",
    "pixels": [7],
    "night": "2024-07-12",
    "until": "2024-07-12",
    "author": "N. N.",
    "date": "2024-07-12",
    "reason": "sparks in module 1",
}
OTHER = DECISION | {"telescope": "LSTN-02", "pixels": [3]}


@pytest.fixture(scope="module")
def subarray():
    """LSTN-01."""
    return telescope_subarray(1)


@pytest.fixture(scope="module")
def empty_archive(tmp_path_factory, north):
    """An archive that knows the site."""
    archive = init_archive(tmp_path_factory.mktemp("archives") / "archive")
    upload_site(archive, north, {f"LSTN-0{n}": n for n in range(1, 5)})
    return archive


class Nights:
    """Coefficients and excluded pixels of LSTN-01, night by night."""

    def __init__(self, folder, root, subarray, archive):
        self.folder, self.root, self.subarray, self.archive = folder, root, subarray, archive

    def coefficients(self, night, dead=(), noisy_in_one_row=()):
        """Coefficients in which some pixels are bad, in all rows or in one of four."""
        path = self.folder / f"coefficients.{night}.h5"
        if path.exists():
            return path
        shape = N_ROWS, 2, N_PIXELS
        reasons = np.zeros(shape, np.uint16)
        reasons[:, :, list(dead)] |= PixelReason.DEAD.value
        reasons[0, 0, list(noisy_in_one_row)] |= PixelReason.PEDESTAL_STD.value
        mask = np.repeat((reasons != 0).any(axis=1, keepdims=True), 2, axis=1)
        begin = Time(f"{night}T22:00:00", scale="tai")
        table = Table(
            {
                "time": Time(begin.unix_tai + 60.0 * np.arange(N_ROWS), format="unix_tai"),
                "factor": np.where(mask, 0, 0.01).astype(np.float32),
                "pedestal_offset": np.full(shape, 400, np.float32),
                "time_shift": np.zeros(shape, np.float32),
                "outlier_mask": mask,
                "is_valid": np.ones(N_ROWS, bool),
                "reasons": reasons,
            }
        )
        metadata = ProductMetadata(
            "camera/coefficients",
            "a test",
            site="CTAO-North",
            night=night,
            category="C",
            details={"tel_id": 1, "array_element": "LSTN-01"},
        )
        return write_camera_coefficients(path, self.subarray, {1: table}, metadata)

    def exclude(self, night, *options, without=False, **bad):
        """Header of the excluded pixels of a night, with or without its coefficients."""
        output = self.folder / f"excluded_pixels.{night}.h5"
        coefficients = [] if without else [f"--coefficients={self.coefficients(night, **bad)}"]
        argv = [
            f"--site={self.root}/config/sites/CTAO-North.yaml",
            f"--night={night}",
            *coefficients,
            f"--output={output}",
            "--overwrite",
            *options,
        ]
        run_tool(SelectExcludedPixels(), argv, cwd=self.folder, raises=True)
        return read_product_header(output)

    def certified(self, night, *options, **bad):
        """Pixels that are excluded in a night, whose list is certified then."""
        header = self.exclude(night, f"--archive={self.archive.location}", *options, **bad)
        certify(self.archive, [Candidate(header, verdict="PASS")], author="me", reason="a test")
        table = read_telescope_table(header.path, PIXELS_GROUP, 1, "excluded pixels")
        return np.flatnonzero(table["is_excluded"]).tolist()


@pytest.fixture
def nights(tmp_path, root, subarray, empty_archive):
    import shutil

    from calibpipe.archive.repository import open_archive

    location = shutil.copytree(empty_archive.location, tmp_path / "archive")
    return Nights(tmp_path, root, subarray, open_archive(location, writeable=True))


def test_history_is_what_is_certified(nights):
    """Two of three nights exclude, three without bring back; nights without data do not count."""
    assert nights.certified("2024-07-10", dead=[5, 9], noisy_in_one_row=[20]) == []
    assert nights.certified("2024-07-11", dead=[5], noisy_in_one_row=[20]) == [5]
    assert nights.certified("2024-07-14", dead=[9]) == [5, 9]
    header = read_product_header(nights.folder / "excluded_pixels.2024-07-14.h5")
    assert header.own["history_of"] == ["2024-07-10", "2024-07-11"]
    assert header.own["n_with_reason"] == {"STATISTICS": 2}
    assert nights.certified("2024-07-15") == [5, 9]
    assert nights.certified("2024-07-16") == [9]  # 5 was good three times in a row
    assert nights.certified("2024-07-17") == []
    table = read_telescope_table(header.path, HISTORY_GROUP, 1, "history")
    assert list(table["night"]) == ["2024-07-10", "2024-07-11", "2024-07-14"]


def test_a_night_that_is_made_again_sees_what_came_before_it_only(nights):
    for night in ("2024-07-10", "2024-07-11", "2024-07-12"):
        nights.certified(night, dead=[5])
    first = read_product_header(nights.folder / "excluded_pixels.2024-07-11.h5")
    again = nights.exclude("2024-07-11", f"--archive={nights.archive.location}")
    assert again.own["history_of"] == ["2024-07-10"]
    assert again.product_id == first.product_id


def test_a_calibration_set_counts_until_the_next_one(nights):
    spe_product(nights, np.ones(N_PIXELS))  # five pixels are masked
    spe = f"--single-photoelectron={nights.folder}/spe.h5"
    assert nights.certified("2024-07-10", spe) == []
    assert nights.certified("2024-07-11") == [0, 1, 2, 3, 4]
    header = read_product_header(nights.folder / "excluded_pixels.2024-07-11.h5")
    assert header.own["n_with_reason"] == {"SINGLE_PHOTOELECTRON": 5}
    spe_product(nights, np.ones(N_PIXELS), outlier_mask=np.arange(N_PIXELS) == 2)
    assert nights.certified("2024-07-12", spe) == [0, 1, 2, 3, 4]
    assert nights.certified("2024-07-13") == [0, 1, 2, 3, 4]
    assert nights.certified("2024-07-14") == [2]  # the others were good in three nights


def test_a_set_that_failed_does_not_count(nights):
    """Its five pixels stay in; without coefficients there is no evidence then."""
    spe_product(nights, np.ones(N_PIXELS))
    spe, record = nights.folder / "spe.h5", nights.folder / "record.json"
    product = {"id": str(read_product_header(spe).product_id)}
    metadata = ProductMetadata("verification/record", "a test", site="CTAO-North", category="C")
    options = f"--single-photoelectron={spe}", f"--verification={record}"
    write_json(record, {"product": product, "verdict": "PASS"}, metadata)
    assert "single_photoelectron" in nights.exclude("2024-07-10", *options).own["evidence_from"]
    write_json(record, {"product": product, "verdict": "FAIL"}, metadata)
    own = nights.exclude("2024-07-10", *options).own
    assert "single_photoelectron" not in own["evidence_from"]
    assert "camera/single_photoelectron is no evidence, its verdict is FAIL" in own["remarks"]
    with pytest.raises(ConfigurationError, match=r"no evidence; .* its verdict is FAIL; give --co"):
        nights.exclude("2024-07-10", *options, without=True)


def test_one_list_holds_in_a_night(nights, north):
    from calibpipe.core.night import night_span

    header = nights.exclude("2024-07-10", dead=[5])
    for found, expected in zip(header.validity, night_span("2024-07-10", north), strict=True):
        assert abs((found - expected).to_value("s")) < 1e-3
    assert header.own["remarks"] == ["no history: evidence of one night only"]


def test_an_old_list_and_one_of_another_category_are_no_history(nights):
    nights.certified("2024-06-09", dead=[5])
    assert nights.certified("2024-07-10", dead=[5]) == []  # 31 days later
    archive = f"--archive={nights.archive.location}"
    header = nights.exclude("2024-07-11", archive, "--category=B", dead=[5])
    assert header.own["history_of"] == []


def test_decisions_of_others_change_nothing(nights):
    path = nights.folder / "decisions.yaml"
    option = f"--overrides={path}"
    path.write_text(yaml.safe_dump({"overrides": [DECISION]}))
    before = nights.exclude("2024-07-11", option)
    path.write_text(yaml.safe_dump({"overrides": [DECISION, OTHER]}))
    assert nights.exclude("2024-07-11", option).product_id == before.product_id
    header = nights.exclude("2024-07-12", option)
    assert header.own["decisions"] == [
        {name: DECISION[name] for name in DECISION if name not in ("site", "telescope")}
    ]
    assert header.own["n_with_reason"] == {"OPERATOR": 1}


def test_history_of_a_camera_with_other_pixels(nights):
    from astropy.table import Table as Rows

    from calibpipe.core.telescope_file import write_telescope_tables

    header = nights.exclude("2024-07-10", dead=[5])
    tables = {
        group: read_telescope_table(header.path, group, 1, "excluded pixels")
        for group in (PIXELS_GROUP, HISTORY_GROUP)
    }
    tables[PIXELS_GROUP] = tables[PIXELS_GROUP][:-1]
    evidence = np.asarray(tables[HISTORY_GROUP]["evidence"])[:, :-1]
    tables[HISTORY_GROUP] = Rows({"night": tables[HISTORY_GROUP]["night"], "evidence": evidence})
    other = nights.folder / "other.h5"
    metadata = ProductMetadata(header.kind, "x", details={"tel_id": 1, "array_element": "LSTN-01"})
    write_telescope_tables(other, nights.subarray, 1, tables, metadata)
    with pytest.raises(ConfigurationError, match="is of 1854 pixels, the camera has 1855"):
        nights.exclude("2024-07-11", f"--previous={other}")
    both = [f"--previous={other}", f"--archive={nights.archive.location}"]
    with pytest.raises(ConfigurationError, match="give one of them"):
        nights.exclude("2024-07-11", *both)
