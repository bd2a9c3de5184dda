"""Tables that people write."""

import pytest
from astropy.table import QTable

from calibpipe.core.ecsv_input import read_ecsv
from calibpipe.core.exceptions import CorruptedInputError, MissingInputError


def test_table_comes_back(tmp_path):
    QTable({"a": [1, 2]}).write(tmp_path / "a.ecsv")
    assert read_ecsv(tmp_path / "a.ecsv", "numbers")["a"].tolist() == [1, 2]


def test_no_file(tmp_path):
    with pytest.raises(MissingInputError, match=r"a\.ecsv does not exist: give the numbers"):
        read_ecsv(tmp_path / "a.ecsv", "numbers")


def test_no_table(tmp_path):
    (tmp_path / "a.ecsv").write_text("1 2 3")
    with pytest.raises(CorruptedInputError, match=r"a\.ecsv is no ECSV table \(numbers\)"):
        read_ecsv(tmp_path / "a.ecsv", "numbers")
