"""Evidence, hysteresis and decisions of operators."""

import numpy as np
import pytest

from calibpipe.camera.pixel_exclusion import (
    ExclusionReason,
    Hysteresis,
    carried_evidence,
    evidence_of,
    excluded_pixels,
    overrides_of,
)
from calibpipe.core.exceptions import ConfigurationError

NIGHTS = [f"2024-07-{day:02d}" for day in range(1, 29)]
RULE = Hysteresis(n_bad=2, n_nights=3, n_good=3)


def history(*pixels, rule=RULE, overrides=()):
    """Excluded pixels after each night; a pixel is a text of x (bad) and . (good) nights."""
    evidence = np.array([[4 * (c == "x") for c in pixel] for pixel in pixels], np.uint16).T
    excluded = np.zeros(len(pixels), bool)
    since = np.full(len(pixels), "", "U10")
    out = []
    for k in range(len(evidence)):
        found = excluded_pixels(
            NIGHTS[: k + 1],
            evidence[: k + 1],
            excluded,
            since,
            hysteresis=rule,
            overrides=overrides,
        )
        excluded, since = found.excluded_by_evidence, found.since
        out.append(found)
    return out


def states(found, pixel=0):
    return "".join("x" if f.is_excluded[pixel] else "." for f in found)


@pytest.mark.parametrize(
    ("evidence", "excluded"),
    [
        ("..........", ".........."),
        ("x.........", ".........."),  # one night is none
        ("x..x..x...", ".........."),
        ("xx........", ".xxx......"),  # excluded in the second, back after three good nights
        ("x.x.......", "..xxx....."),
        ("xx..x.....", ".xxxxxx..."),  # a bad night begins the three nights anew
        ("xxxxxxxxxx", ".xxxxxxxxx"),
    ],
)
def test_hysteresis(evidence, excluded):
    assert states(history(evidence)) == excluded


def test_what_is_not_measured_anew_stays():
    """Photon transfer is not of this night, statistics are: their old evidence is gone."""
    old, new = ExclusionReason.PHOTON_TRANSFER, ExclusionReason.STATISTICS
    before = np.array([old, old | new, new, 0, 0], np.uint16)
    evidence = np.array([0, 0, 0, new, 0], np.uint16)
    found = carried_evidence(evidence, [new, ExclusionReason.COEFFICIENTS], before)
    assert found.tolist() == [old, old, 0, new, 0]
    assert carried_evidence(evidence, [old, new], before).tolist() == evidence.tolist()
    assert found.dtype == np.uint16


def test_a_flickering_pixel_does_not_flicker():
    found = history("xx.x..x.x..x")
    assert states(found) == ".xxxxxxxxxxx"
    assert {f.since[0] for f in found[1:]} == {NIGHTS[1]}


def test_reasons_are_those_of_the_nights_that_count():
    evidence = np.array([[1], [8], [0], [0]], np.uint16)
    found = excluded_pixels(NIGHTS[:4], evidence, np.array([True]), np.array([NIGHTS[1]]))
    assert found.is_excluded[0]
    assert found.reasons[0] == ExclusionReason.PHOTON_TRANSFER
    assert (found.n_bad[0], found.n_good[0]) == (1, 2)


def test_good_pixels_have_neither_reasons_nor_night():
    found = history("x.....")[1]
    assert (found.reasons[0], found.since[0]) == (0, "")


def test_evidence_of_any_row_and_channel():
    coefficients = np.zeros((3, 2, 5), bool)
    coefficients[1, 1, 2] = True
    found = evidence_of(
        {
            ExclusionReason.COEFFICIENTS: coefficients,
            ExclusionReason.CROSSTALK: np.array([0, 0, 1, 1, 0], bool),
        },
        5,
    )
    assert found.tolist() == [0, 0, 2 + 64, 64, 0]


def decision(**changes):
    entry = {
        "decision": "exclude_pixels",
        "site": "CTAO-North",
        "telescope": "LSTN-01",
        "pixels": [1],
        "night": NIGHTS[1],
        "author": "N. N.",
        "date": "2024-07-03",
        "reason": "sparks",
    }
    return {k: v for k, v in (entry | changes).items() if v is not None}


def of_lst(*entries):
    return overrides_of(entries, "CTAO-North", "LSTN-01")


def test_operators_decide_before_all_evidence():
    orders = of_lst(decision(until=NIGHTS[3]), decision(decision="include_pixels", pixels=[0]))
    found = history("xxxxxx", "......", overrides=orders)
    assert states(found, 0) == "......"
    assert states(found, 1) == ".xxx.."
    assert found[2].reasons[1] == ExclusionReason.OPERATOR
    assert found[2].by_operator.tolist() == [-1, 1]


def test_decisions_on_other_telescopes_and_things_are_none():
    assert not of_lst(decision(telescope="LSTN-02"), {"decision": "leave_out_block"})


@pytest.mark.parametrize("name", ["pixels", "night", "author", "date", "reason"])
def test_decisions_are_complete(name):
    with pytest.raises(ConfigurationError, match=f"has no {name}: decisions are dated"):
        of_lst(decision(**{name: None}))


@pytest.mark.parametrize("wrong", [{"night": "yesterday"}, {"pixels": 5}, {"until": "2024-13-01"}])
def test_decisions_are_readable(wrong):
    with pytest.raises(ConfigurationError, match="give nights as YYYY-MM-DD"):
        of_lst(decision(**wrong))


def test_decisions_name_pixels_of_the_camera():
    with pytest.raises(ConfigurationError, match=r"names pixels \[7\], the camera has 1"):
        history("xx", overrides=of_lst(decision(pixels=[7])))


@pytest.mark.parametrize("rule", [Hysteresis(0, 3, 3), Hysteresis(4, 3, 3), Hysteresis(1, 3, 0)])
def test_impossible_numbers_of_nights(rule):
    with pytest.raises(ConfigurationError, match="1 <= n_bad <= n_nights"):
        history("xx", rule=rule)


def test_nights_in_the_wrong_order():
    with pytest.raises(ConfigurationError, match="one row for each night, in order"):
        excluded_pixels(
            NIGHTS[1::-1], np.zeros((2, 1), np.uint16), np.array([False]), np.array([""])
        )


def test_a_night_without_any_evidence():
    with pytest.raises(ConfigurationError, match="no product says anything"):
        evidence_of({}, 5)


def test_evidence_of_another_camera():
    with pytest.raises(ConfigurationError, match="linearity is of 3 pixels, the camera has 5"):
        evidence_of({ExclusionReason.LINEARITY: np.zeros(3, bool)}, 5)
