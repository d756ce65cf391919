import json

import pytest

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import Example
from tfkit_serving.rest.example_request import read_example_request


def read(body):
    return read_example_request(body if isinstance(body, bytes) else json.dumps(body).encode())


def features(serialized):
    example = Example.FromString(serialized)
    return {
        name: (each.WhichOneof("kind"), list(getattr(each, each.WhichOneof("kind")).value))
        if each.WhichOneof("kind")
        else None
        for name, each in example.features.feature.items()
    }


def test_features_by_their_values():
    content = {"f": [1.5, -2.0], "i": [1, True, False], "s": ["a", {"b64": "AAE="}], "one": 7, "none": [], "e": "é"}
    inputs = read({"signature_name": "s", "examples": [content, {}]})
    assert (inputs.signature, inputs.context) == ("s", None)
    assert features(inputs.examples[0]) == {
        "f": ("float_list", [1.5, -2.0]),
        "i": ("int64_list", [1, 1, 0]),
        "s": ("bytes_list", [b"a", b"\0\1"]),
        "one": ("int64_list", [7]),
        "none": None,
        "e": ("bytes_list", ["é".encode()]),
    }
    assert features(inputs.examples[1]) == {}


def test_context():
    inputs = read({"context": {"x": 2.0}, "examples": [{}]})
    assert features(inputs.context) == {"x": ("float_list", [2.0])}


def test_the_last_feature_of_a_name_stays():
    assert features(read(b'{"examples": [{"x": 1, "x": "b"}]}').examples[0]) == {"x": ("bytes_list", [b"b"])}


def test_numbers_without_end():
    kind, values = features(read(b'{"examples": [{"x": [NaN, Infinity]}]}').examples[0])["x"]
    assert kind == "float_list"
    assert values[0] != values[0]
    assert values[1] == float("inf")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "JSON Value: [] Is not object"),
        (b"{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        (b'{"examples": 1}', "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array"),
        (b'{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        (b'{"examples": ["a"]}', "Example must be JSON object but got JSON String"),
        (b'{"examples": [null]}', "Example must be JSON object but got JSON Null"),
        (b'{"context": [], "examples": [{}]}', "Example must be JSON object but got JSON Array"),
        (b'{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        (b'{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        (b'{"examples": [{"x": {"a": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
        (b'{"examples": [{"x": {"b64": "!"}}]}', "Unable to base64 decode"),
        (b'{"examples": [{"x": [1, 1.5]}]}', "Unexpected element type in feature: x expecting type: int64"),
        (b'{"examples": [{"x": [1.5, 1]}]}', "Unexpected element type in feature: x expecting type: float"),
        (b'{"examples": [{"x": ["a", 1]}]}', "Unexpected element type in feature: x expecting type: bytes"),
        (b'{"examples": [{"x": 1e39}]}', "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        (b'{"examples": [{"x": 9223372036854775808}]}', "Feature: x has uint64 element. Only int64 is supported."),
    ],
)
def test_refusals(body, said):
    with pytest.raises(ServingError) as caught:
        read(body)
    assert (caught.value.code, caught.value.message) == ("INVALID_ARGUMENT", said)
