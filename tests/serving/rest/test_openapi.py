"""The OpenAPI document: its examples are requests that the server answers."""

import json
import urllib.request

import pytest

pytestmark = pytest.mark.serving


def called(url, body=None):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def test_examples_of_the_document_are_answered(recorded_server):
    url = f"http://127.0.0.1:{recorded_server.rest_port}"
    document = called(f"{url}/openapi.json")
    assert document["openapi"] == "3.1.0"
    answered = 0
    for path, methods in document["paths"].items():
        if "get" in methods:
            assert called(url + path)
            continue
        content = methods["post"]["requestBody"]["content"]["application/json"]
        for key, example in content["examples"].items():
            if key == "bad" or (path.startswith("/v1/models/dtypes") and key in ("mixed_batch",)):
                continue  # made to fail
            reply = called(url + path, example["value"])
            assert reply.get("predictions") or "outputs" in reply, (path, key)
            answered += 1
    assert answered > 15


def test_schemas_name_shapes_and_types(recorded_server):
    document = called(f"http://127.0.0.1:{recorded_server.rest_port}/openapi.json")
    content = document["paths"]["/v1/models/text:predict"]["post"]["requestBody"]["content"]["application/json"]
    schema = content["schema"]["anyOf"][0]
    assert schema["title"] == "serving_default"
    row = schema["properties"]["instances"]["items"]
    assert next(iter(row["properties"].values()))["items"]["type"] == "string"
    mlp = document["paths"]["/v1/models/mlp:predict"]["post"]["requestBody"]["content"]["application/json"]
    first = mlp["schema"]["anyOf"][0]["properties"]["instances"]["items"]["properties"]
    assert {each["minItems"] for each in first.values()} == {32}
