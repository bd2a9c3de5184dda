"""Numbers rounded to their errors, lists in words."""

import math

import pytest

from calibpipe.report.wording import (
    counted,
    listed,
    power_of_ten,
    rounded,
    signed,
    with_errors,
)


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((811.3264, 1.87, 3.21), ("811.3", "1.9", "3.2")),
        ((0.494131, 0.000347, 0.00198), ("0.49413", "0.00035", "0.00198")),
        ((4.6458, 0.0213), ("4.646", "0.021")),
        ((123456.0, 4321.0), ("123500", "4300")),
        ((1.0, 0.0996), ("1.00", "0.10")),  # the error rounds up to the next decade
        ((-0.5, 0.25), ("−0.50", "0.25")),
    ],
)
def test_smallest_error_keeps_two_digits(numbers, texts):
    assert rounded(*numbers) == texts


def test_five_digits_without_an_error():
    assert rounded(4.620425836) == ("4.6204",)
    assert rounded(419.3125, 0.0) == ("419.31", "0.00")
    assert rounded(99999.6, digits=5) == ("100000",)
    assert rounded(0.0) == ("0",)


def test_what_is_no_number_is_a_dash_and_decides_nothing():
    assert rounded(2.0, math.nan, 0.11) == ("2.00", "–", "0.11")
    assert rounded(math.inf, 0.1) == ("–", "0.10")


def test_statistical_and_systematic_error_are_kept_apart():
    assert with_errors(2.0, 0.011, 0.25) == {"value": "2.000", "stat": "0.011", "sys": "0.250"}


def test_differences_have_a_sign():
    assert [signed(x, 1) for x in (0.12, -0.12, 0.0)] == ["+0.1", "−0.1", "+0.0"]


def test_words():
    assert power_of_ten(-14) == "10⁻¹⁴"
    assert [counted(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
