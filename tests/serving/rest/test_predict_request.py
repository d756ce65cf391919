import base64
import json

import numpy as np
import pytest
from small_core import DTYPES, signature

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.base64_values import decode_base64
from tfkit_serving.rest.predict_request import read_predict_request


def read(body, **inputs):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return read_predict_request(body, lambda name: signature({key: DTYPES[value] for key, value in inputs.items()}))


def refusal(body, **inputs):
    with pytest.raises(ServingError) as caught:
        read(body, **inputs)
    assert caught.value.code == "INVALID_ARGUMENT"
    return caught.value.message


FIRST = "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("float", [1, 2.5, -0.0], np.float32([1, 2.5, -0.0])),
        ("double", [0.1, 2**53 - 1], np.float64([0.1, 2**53 - 1])),
        ("int32", [-(2**31), 2**31 - 1], np.int32([-(2**31), 2**31 - 1])),
        ("int16", [1, 40000], np.int16([1, -25536])),
        ("int8", [127, 128, -129], np.int8([127, -128, 127])),
        ("uint8", [256, -1, 7], np.uint8([0, 255, 7])),
        ("int64", [-(2**63), 2**63 - 1], np.int64([-(2**63), 2**63 - 1])),
        ("uint32", [0, 2**32 - 1], np.uint32([0, 2**32 - 1])),
        ("uint64", [0, 2**64 - 1], np.uint64([0, 2**64 - 1])),
        ("bool", [True, False], np.array([True, False])),
        ("string", ["a", "é"], np.array([b"a", "é".encode()], object)),
    ],
)
def test_values_of_every_dtype(dtype, values, expected):
    for key in ("instances", "inputs"):
        array = read({key: values}, x=dtype).inputs["x"]
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("dtype", "value", "shown", "kind"),
    [
        ("float", '"1"', '"1"', "String"), ("float", "true", "true", "True"), ("float", "null", "null", "Null"),
        ("double", "false", "false", "False"), ("int32", "1.0", "1.0", "Number"), ("int32", "1e2", "100.0", "Number"),
        ("int32", "2147483648", "2147483648", "Number"), ("int32", "-2147483649", "-2147483649", "Number"),
        ("int16", "0.5", "0.5", "Number"), ("int8", "3000000000", "3000000000", "Number"),
        ("uint8", "true", "true", "True"), ("int64", "9223372036854775808", "9223372036854775808", "Number"),
        ("int64", "NaN", "NaN", "Number"), ("uint32", "-1", "-1", "Number"), ("uint32", "4294967296", "4294967296",
        "Number"), ("uint64", "-1", "-1", "Number"), ("uint64", "1.5", "1.5", "Number"), ("bool", "1", "1", "Number"),
        ("bool", '"true"', '"true"', "String"), ("string", "5", "5", "Number"), ("string", "null", "null", "Null"),
        ("float", '{"b64": "x"}', '{\n    "b64": "x"\n}', "Object"),
    ],
)  # fmt: skip
def test_wrong_kinds(dtype, value, shown, kind):
    said = f"JSON Value: {shown} Type: {kind} is not of expected type: {dtype}"
    assert refusal(f'{{"instances": [{value}]}}'.encode(), x=dtype) == FIRST + said
    if kind != "Object":
        assert refusal(f'{{"inputs": {value}}}'.encode(), x=dtype) == said


@pytest.mark.parametrize(
    ("dtype", "value", "shown"),
    [("float", "16777216", "16777216"), ("float", "-16777216", "-16777216"), ("float", "1e39", "1e+39"),
     ("double", "9007199254740992", "9007199254740992"), ("float", "18446744073709551615", "18446744073709551615")],
)  # fmt: skip
def test_numbers_that_would_lose_digits(dtype, value, shown):
    said = f"Cannot convert JSON value: {shown} to {dtype} without loss of precision."
    assert refusal(f'{{"instances": [{value}]}}'.encode(), x=dtype) == FIRST + said


@pytest.mark.parametrize("dtype", ["half", "uint16"])
def test_dtypes_that_rest_does_not_carry(dtype):
    said = f"Conversion of JSON Value: 1 to type: {dtype}"
    assert refusal({"instances": [1]}, x=dtype) == FIRST.replace("INVALID_ARGUMENT", "UNIMPLEMENTED") + said
    with pytest.raises(ServingError) as caught:
        read({"inputs": [1]}, x=dtype)
    assert (caught.value.code, caught.value.message) == ("UNIMPLEMENTED", said)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1, 2], [1]], "Expecting tensor size: 2 but got: 1"),
        ([[[1, 2]], [1, 2]], "Expecting shape [1,2] but got: [2]"),
        ([1, [1]], "Expecting shape [] but got: [1]"),
    ],
)
def test_rows_of_different_shapes(rows, said):
    assert refusal({"instances": rows}, x="float") == FIRST.replace("element: 0", "element: 1") + said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ([[1], 2], "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ([1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ([[], [1]], "Encountered list at unexpected size: 1 at level: 1 expected size: 0"),
    ],
)
def test_ragged_values(value, said):
    assert refusal({"inputs": value}, x="float") == said
    assert refusal({"instances": [value]}, x="float") == FIRST + said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "JSON Value: [] Is not object"),
        (b"1.5", "JSON Value: 1.5 Is not object"),
        (b'{"signature_name": 5}', 'JSON Value: {\n    "signature_name": 5\n} not formatted correctly. '
         "'signature_name' key must be a string value."),
        (b'{"instances": {}}', 'JSON Value: {\n    "instances": {}\n} Expecting \'instances\' to be an list/array'),
        (b'{"instances": [[1, 2], {"x": 1}]}', "Expecting value/list but got object at item 1 of input list"),
        (b'{"instances": [{"x": 1}, [1]]}', "Expecting object but got list at item 1 of input list"),
        (b'{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        (b'{"predict": 1}', "Missing 'inputs' or 'instances' key"),
    ],
)  # fmt: skip
def test_forms(body, said):
    assert refusal(body, x="float") == said


def test_several_inputs():
    rows = {"instances": [{"a": [1], "b": 2}, {"b": 3, "a": [4]}]}
    inputs = read(rows, a="float", b="int64").inputs
    assert inputs["a"].tolist() == [[1.0], [4.0]]
    assert inputs["b"].tolist() == [2, 3]
    assert refusal({"instances": [[1]]}, a="float", b="int64").startswith("instances is a plain list, but expecting")
    assert refusal({"inputs": [[1]]}, a="float", b="int64").startswith("inputs is a plain value/list, but expecting")
    assert refusal({"instances": [{"a": 1}]}, a="float", b="int64") == (
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} keys must be equal to: a,b"
    )
    # Columns may bring more than the signature names, rows may not.
    assert read({"inputs": {"a": 1, "b": 2, "c": 3}}, a="float", b="int64").inputs["a"] == 1
    assert "does not have named input: c" in refusal({"instances": [{"a": 1, "c": 1}]}, a="float", b="int64")


def test_a_name_given_twice_takes_the_first_values():
    assert read(b'{"instances": [{"x": 1, "x": 2}]}', x="float").inputs["x"].tolist() == [1.0]
    assert read(b'{"inputs": 1, "inputs": 2}', x="float").inputs["x"] == 1


def test_empty_lists():
    assert read({"inputs": []}, x="float").inputs["x"].shape == (0,)
    assert read({"inputs": [[], []]}, x="string").inputs["x"].shape == (2, 0)
    assert read({"instances": [[], []]}, x="int8").inputs["x"].dtype == np.int8
    assert read({"instances": [[], []]}, x="half").inputs["x"].shape == (2, 0)


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", b"\xff\xfe\0", bytes(range(256))])
def test_base64(data):
    padded = base64.b64encode(data)
    for text in (padded, padded.rstrip(b"="), padded.replace(b"=", b"."), b" ".join([padded[:3], padded[3:], b"\n"])):
        assert decode_base64(text) == data
        assert read({"instances": [{"b64": text.decode()}]}, x="string").inputs["x"].tolist() == [data]


@pytest.mark.parametrize("text", ["!!!", "a", "ab=", "abc==", "ab=c", "=", "YQ=", "YWI==", "é"])
def test_bad_base64(text):
    assert refusal({"instances": [{"b64": text}]}, x="string") == FIRST + "Unable to base64 decode"


def test_an_object_that_is_no_base64():
    said = FIRST + 'JSON Value: {\n    "b64": 5\n} not formatted correctly for base64 data'
    assert refusal({"instances": [[{"b64": 5}]]}, x="string") == said


def test_the_signature_is_asked_after_the_body_was_read():
    def never(name):
        raise AssertionError(name)

    with pytest.raises(ServingError, match="document is empty"):
        read_predict_request(b"", never)
    with pytest.raises(ServingError, match="must be a string"):
        read_predict_request(b'{"signature_name": null}', never)
    with pytest.raises(ServingError, match="Failed to get input map for signature: DEFAULT"):
        read({"instances": [1]})
