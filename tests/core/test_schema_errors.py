"""Sentences about what a schema refuses."""

import jsonschema
import pytest

from calibpipe.core.schema_errors import refusal

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["nights"],
    "properties": {
        "nights": {"type": "string"},
        "sites": {"type": "array", "items": {"enum": ["CTAO-North", "CTAO-South"]}},
        "meteo": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "source": {"enum": ["archive", "files"]},
                "files": {"type": "string", "pattern": "^[^/]", "description": "Below meteo."},
            },
        },
    },
}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"sites": ["CTAO-Nord"]}, "sites[0]: 'CTAO-Nord' is not one of ['CTAO-North', "),
        ({"sites": ["CTAO-Nord"]}, "; did you mean 'CTAO-North'?"),
        ({"sites": ["here"]}, "'CTAO-South']"),
        ({"meteo": {"sorce": "files"}}, "meteo: Additional properties are not allowed ('sorce'"),
        ({"meteo": {"sorce": "files"}}, "was unexpected); did you mean 'source'?"),
        ({"meteo": {"when": 1}}, "; there are source, files"),
        ({"meteo": {"files": "/abs"}}, "meteo.files: '/abs' does not match '^[^/]' (Below meteo)"),
    ],
)
def test_where_what_and_the_remedy(content, told):
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate({"nights": "2024-07-10"} | content, SCHEMA)
    sentence = refusal(caught.value)
    assert told in sentence
    assert "\n" not in sentence


def test_a_key_that_lacks():
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate({}, SCHEMA)
    assert refusal(caught.value) == "'nights' is a required property"
