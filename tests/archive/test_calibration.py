"""calibpipe.archive.get: three lines from a moment to numbers."""

import numpy as np
import pytest
from astropy.table import QTable
from products import SIGNED, at, candidate, hours, product
from test_manual import coefficients

from calibpipe.archive import get
from calibpipe.archive.certify import certify
from calibpipe.archive.errors import MissingTimeError, NoValidProductError
from calibpipe.core.exceptions import ConfigurationError, CorruptedInputError, MissingInputError
from calibpipe.core.product_header import read_product_header
from calibpipe.core.products import ProductMetadata, write_table


def macobac(folder, value, category):
    """Carbon dioxide of a night, in one table."""
    metadata = ProductMetadata(
        *("atmosphere/macobac", "CO2"),
        **{"site": "CTAO-North", "night": "2024-07-10", "category": category},
    )
    table = QTable({"co2_mole_fraction": [value]})
    return read_product_header(write_table(folder / f"{category}.ecsv", table, metadata))


def test_coefficients_of_a_telescope(sqlite_archive, tmp_path):
    """Of the manual's night: valid from 21:30 to 23:00 TAI, which is 37 seconds later in UTC."""
    path = tmp_path / "coefficients.h5"
    coefficients(path)
    certify(sqlite_archive, [candidate(read_product_header(path), None)], **SIGNED)
    where = "camera/coefficients", "CTAO-North", "LSTN-01"
    found = get(sqlite_archive.location, *where, "2024-07-10T22:00:00")
    assert found.table["factor"].shape == (2, 2, 1855)
    np.testing.assert_allclose(found.table["pedestal_offset"], 400)
    assert (found.begin.tai.isot[:19], found.category) == ("2024-07-10T21:30:00", "C")
    assert found.end.tai.isot[:19] == "2024-07-10T23:00:00"
    assert found.path.suffix == ".h5"
    assert all("/configuration" not in node for node in found.tables)
    get(sqlite_archive, *where, "2024-07-10T22:59:22")  # 1 s before its end
    with pytest.raises(NoValidProductError, match="the nearest before is"):
        get(sqlite_archive, *where, "2024-07-10T22:59:23")


def test_a_table_of_the_site_c_before_b(sqlite_archive, tmp_path):
    for value, category in ((420e-6, "B"), (424e-6, "C")):
        made = macobac(tmp_path, value, category)
        certify(sqlite_archive, [candidate(made, hours(0, 24))], **SIGNED)
    where = "atmosphere/macobac", "CTAO-North", None
    assert get(sqlite_archive, *where, at(3)).table["co2_mole_fraction"][0] == 424e-6
    found = get(sqlite_archive, *where, at(3), category="B")
    assert (found.table["co2_mole_fraction"][0], found.category) == (420e-6, "B")
    with pytest.raises(ConfigurationError, match=r"is no document: take \.table"):
        _ = found.document


def test_a_document(sqlite_archive, tmp_path):
    certify(sqlite_archive, [candidate(product(tmp_path, 7), hours(0))], **SIGNED)
    found = get(sqlite_archive, "timing/array_offset", "CTAO-North", "LSTN-01", at(1))
    assert found.document == {"value": 7}
    assert found.end is None
    with pytest.raises(ConfigurationError, match="no product of one table"):
        _ = found.table


def test_a_file_that_is_not_what_was_certified(sqlite_archive, tmp_path):
    certify(sqlite_archive, [candidate(product(tmp_path, 7), hours(0))], **SIGNED)
    where = "timing/array_offset", "CTAO-North", "LSTN-01", at(1)
    path = get(sqlite_archive, *where).path
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"value": 7', '"value": 8'))
    with pytest.raises(CorruptedInputError, match="was changed or damaged"):
        get(sqlite_archive, *where)
    path.unlink()
    with pytest.raises(MissingInputError, match="bring it back"):
        get(sqlite_archive, *where)


def test_what_cannot_be_answered(sqlite_archive, tmp_path):
    where = "camera/coefficients", "CTAO-North"
    with pytest.raises(NoValidProductError, match="nothing is certified at any time"):
        get(sqlite_archive, *where, "LSTN-01", "2024-07-10T22:00:00")
    with pytest.raises(ConfigurationError, match="no telescope LSTN-09"):
        get(sqlite_archive, *where, "LSTN-09", "2024-07-10T22:00:00")
    with pytest.raises(ConfigurationError, match="for each telescope: say which"):
        get(sqlite_archive, *where, None, "2024-07-10T22:00:00")
    with pytest.raises(MissingTimeError, match="give one"):
        get(sqlite_archive, *where, "LSTN-01", "")
    with pytest.raises(MissingInputError, match="is no archive"):
        get(tmp_path / "nowhere", *where, "LSTN-01", "2024-07-10T22:00:00")
