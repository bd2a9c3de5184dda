"""Verdicts and certifications on the page."""

from dataclasses import replace

import pytest

from calibpipe.report.material import NightMaterial
from calibpipe.report.verdicts import verdict_facts, verdict_remarks


def criterion(number, median, limits, **more):
    """Entry of a verification record."""
    return {
        **{"id": number, "metric": "flat_field_residual", "unit": "ns", "limits": limits},
        **{"median": median, "informative": False, "result": "PASS", **more},
    }


def record(identifier, verdict="PASS", because=(), criteria=()):
    """Verification record, as far as the page looks at it."""
    product = {"id": identifier, "kind": "camera/coefficients"}
    product |= {"array_element": "LSTN-01", "block": "OBSID5"}
    return {
        "content": {
            "product": product,
            "verdict": verdict,
            "because": list(because),
            "criteria": list(criteria),
        }
    }


def certified(identifier):
    """Certification record."""
    validity = {"begin_utc": "2024-07-10T21:45:25.861", "end_utc": "2024-07-11T04:10:00"}
    return {"certified": [{"product_id": identifier, "validity": validity}], "refused": []}


@pytest.fixture
def material(north):
    """A night without anything else."""
    return NightMaterial(north, "2024-07-10", "C", None, {})


def test_the_criterion_nearest_to_its_limit_is_named(material):
    criteria = [
        criterion("CAM-01", 0.1, [-0.2, 0.2]),  # half of the way
        criterion("CAM-02", -0.9, [-1.0, 1.0]),  # nine tenths
        criterion("CAM-03", 0.99, [-1.0, 1.0], informative=True),
        criterion("CAM-04", 0.09, [0.0, 0.1]),  # a bound, not a limit, on one side
    ]
    night = replace(material, verdicts=[record("a", criteria=criteria)])
    (line,) = verdict_facts(night)
    assert line["told"] == ("nearest to a limit: CAM-02 flat field residual -0.9 ns of -1 to 1")
    assert (line["what"], line["certified"]) == ("camera: coefficients LSTN-01 OBSID5", "not yet")
    assert not list(verdict_remarks(night))


def test_validity_and_refusal(material):
    refusal = {"certified": [], "refused": [{"product_id": "b"}]}
    night = replace(
        material,
        verdicts=[record("a"), record("b", "FAIL", ["CAM-02 outside", "CAM-03 outside"])],
        certifications=[certified("a"), refusal],
    )
    failed, passed = verdict_facts(night)
    assert (failed["verdict"], failed["certified"]) == ("FAIL", "refused")
    assert failed["told"] == "CAM-02 outside; CAM-03 outside"
    assert passed["certified"] == "21:45 – 04:10 (07-11) UTC"
    ((level, title, text),) = verdict_remarks(night)
    assert level == "warning"
    assert title == "Camera: coefficients LSTN-01 OBSID5 failed its verification"
    assert "certify_despite_verdict" in text
