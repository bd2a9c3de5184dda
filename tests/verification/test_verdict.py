"""Criteria and the rule of the verdict."""

import json

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator

from calibpipe.core.exceptions import ConfigurationError
from calibpipe.tools.verified_products import known_metrics
from calibpipe.verification.criteria import criteria_of
from calibpipe.verification.verdict import outcome, outcomes, verdict

KIND = "camera/coefficients"
METRICS = {f"{KIND} internal": {"flat_field_residual"}, f"{KIND} external": {"factor_change"}}


def content(**more):
    """One criterion with a limit of 2 %."""
    entry = {"kind": KIND, "mode": "internal", "metric": "flat_field_residual"}
    entry |= {"limits": [-0.02, 0.02], "unit": "", "source": "a test"}
    return {
        "fails_if_more_than": {"elements": 0.5, "groups": 0.5},
        "criteria": {"CAM-01": entry | more},
    }


def found(values, **more):
    """Outcome of that criterion."""
    criteria = criteria_of(content(**more), METRICS)
    return outcome(np.array(values, float), criteria.entries[0])


GOOD, BAD = 0.0, 0.03


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ([[GOOD, GOOD, BAD, BAD]], "PASS"),  # half of the elements is no majority
        ([[GOOD, BAD, BAD]], "FAIL"),
        ([[GOOD, -BAD, -BAD]], "FAIL"),  # on the other side
        ([[GOOD, -BAD, BAD]], "FAIL"),  # on both
        ([[BAD, BAD], [GOOD, GOOD]], "PASS"),  # half of the chunks is no majority
        ([[BAD, BAD], [BAD, BAD], [GOOD, GOOD]], "FAIL"),
        ([[0.02, -0.02]], "PASS"),  # a limit is inside
        ([[np.nan, GOOD, BAD, BAD]], "FAIL"),  # two of three that are known
        ([[np.nan, np.nan, GOOD, BAD]], "PASS"),
        ([[np.nan, np.nan]], "UNDETERMINED"),
        ([[np.nan], [np.nan], [GOOD]], "FAIL"),  # chunks without any value fail
        (BAD, "FAIL"),
        (GOOD, "PASS"),
    ],
)
def test_majority_of_elements_in_majority_of_groups(values, result):
    assert found(values).result == result


def test_numbers_of_an_outcome():
    o = found([[0.01, 0.05, -0.09], [0.0, np.nan, 0.02]])
    assert (o.n_elements, o.n_failing, o.n_groups, o.n_failing_groups) == (5, 2, 2, 1)
    assert (o.minimum, o.median, o.maximum) == (-0.09, 0.01, 0.05)
    assert o.failing == ((0, 2), (0, 1))  # the farthest first
    json.dumps(o.text())


def test_verdict_counts_what_speaks():
    criteria = criteria_of(content(), METRICS)
    (bad,) = outcomes(criteria, KIND, {"flat_field_residual": np.array([[BAD]])}, {})
    told, because = verdict([bad])
    assert told == "FAIL"
    assert because == [
        "CAM-01 flat_field_residual: 1 of 1 outside -0.02 to 0.02 (median 0.03), in 1 of 1 groups "
        "the majority"
    ]
    informative = criteria_of(content(informative=True), METRICS)
    (ignored,) = outcomes(informative, KIND, {"flat_field_residual": np.array([[BAD]])}, {})
    (good,) = outcomes(criteria, KIND, {"flat_field_residual": np.array([[GOOD]])}, {})
    assert verdict([ignored, good]) == ("PASS", [])
    assert verdict([ignored]) == ("FAIL", ["no criterion could be applied"])
    (unknown,) = outcomes(criteria, KIND, {"flat_field_residual": np.array([[np.nan]])}, {})
    assert verdict([good, unknown])[0] == "FAIL"


def test_external_criteria_need_something_to_compare_with():
    criteria = criteria_of(content(mode="day", metric="factor_change"), METRICS)
    changed = {"factor_change": np.array([[0.1]])}
    assert outcomes(criteria, KIND, {}, {})[0].result == "NOT APPLICABLE"
    assert outcomes(criteria, KIND, {}, {"week": changed})[0].result == "NOT APPLICABLE"
    assert outcomes(criteria, KIND, {}, {"day": changed})[0].result == "FAIL"


def test_thresholds_are_configurable():
    strict = content()
    strict["fails_if_more_than"] = {"elements": 0.1, "groups": 0.0}
    criteria = criteria_of(strict, METRICS)
    values = np.array([[GOOD] * 8 + [BAD], [GOOD] * 9])
    assert outcome(values, criteria.entries[0]).result == "FAIL"


def test_a_criterion_with_fractions_of_its_own():
    """One of thirteen telescopes fails the product, and is named."""
    criteria = criteria_of(content(fails_if_more_than={"elements": 0.0}), METRICS)
    values = np.array([[GOOD] * 12 + [BAD]])
    assert outcome(np.zeros((1, 13)), criteria.entries[0]).result == "PASS"
    names = {"flat_field_residual": [f"MSTN-{k:02d}" for k in range(13)]}
    (o,) = outcomes(criteria, KIND, {"flat_field_residual": values}, {}, names)
    assert o.named == ("MSTN-12 0.03",)
    assert o.text()["named"] == ["MSTN-12 0.03"]
    assert verdict([o]) == (
        "FAIL",
        [
            "CAM-01 flat_field_residual: 1 of 13 outside -0.02 to 0.02 (median 0), in 1 of 1 "
            "groups more than 0 %: MSTN-12 0.03"
        ],
    )
    (o,) = outcomes(criteria, KIND, {"flat_field_residual": values + 0.1}, {}, names)
    assert verdict([o])[1][0].endswith(": MSTN-12 0.13, MSTN-00 0.1, MSTN-01 0.1, ...")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"limits": [0.02, -0.02]}, "leave nothing between them"),
        ({"metric": "flat_feld_residual"}, "no metric 'flat_feld_residual' .* flat_field_residual"),
        ({"kind": "camera/nothing"}, "there are none"),
        ({"mode": "day"}, "there are factor_change"),
        ({"fails_if_more_than": {"elements": 1.0}}, "CAM-01, elements: 1.0 is no fraction"),
    ],
)
def test_criteria_that_make_no_sense(more, told):
    with pytest.raises(ConfigurationError, match=told):
        criteria_of(content(**more), METRICS)
    wrong = content()
    wrong["fails_if_more_than"]["groups"] = 1.0
    with pytest.raises(ConfigurationError, match="is no fraction from 0 to below 1"):
        criteria_of(wrong, METRICS)


def test_shipped_criteria(root):
    """They fit their schema, name metrics that there are, and leave no metric without a limit."""
    shipped = yaml.safe_load((root / "config/criteria.yaml").read_text())
    schema = yaml.safe_load((root / "config/schemas/criteria.schema.yaml").read_text())
    Draft202012Validator(schema).validate(shipped)
    metrics = known_metrics()
    criteria = criteria_of(shipped, metrics)
    used = {
        (c.kind, c.mode if c.mode in ("internal", "dedicated") else "external", c.metric)
        for c in criteria.entries
    }
    known = {(*place.split(), name) for place, names in metrics.items() for name in names}
    assert known == used
