import pytest

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.rest.routes import BadVersion, Call, is_target, parse_route
from tfkit_serving.servables.requests import ModelSpec


@pytest.mark.parametrize(
    ("method", "path", "model", "action"),
    [
        ("GET", "/v1/models/m", ModelSpec("m"), "status"),
        ("GET", "/V1/Models/M", ModelSpec("M"), "status"),
        ("GET", "/v1/models/m/versions/007", ModelSpec("m", 7), "status"),
        ("GET", "/v1/models/m/versions/9223372036854775807", ModelSpec("m", 2**63 - 1), "status"),
        ("GET", "/v1/models/m/labels/a%20b", ModelSpec("m", None, "a b"), "status"),
        ("GET", "/v1/models/m/metadata", ModelSpec("m"), "metadata"),
        ("GET", "/v1/models/m/METADATA", ModelSpec("m"), "status"),
        ("GET", "/v1/models/metadata", ModelSpec("metadata"), "status"),
        ("GET", "/v1/models", ModelSpec(""), "status"),
        ("GET", "/v1/models/versions/1", ModelSpec("", 1), "status"),
        ("GET", "/v1/models/m?a=b", ModelSpec("m?a=b"), "status"),
        ("GET", "/v1/models/%2e%2e%2f%00", ModelSpec("../\0"), "status"),
        ("GET", "/v1/models/..", ModelSpec(".."), "status"),
        ("GET", "/v1/models/%FF", ModelSpec("\udcff"), "status"),
        ("POST", "/v1/models/m:predict", ModelSpec("m"), "predict"),
        ("POST", "/v1/models/m/versions/1:classify", ModelSpec("m", 1), "classify"),
        ("POST", "/v1/models/m/labels/canary:regress", ModelSpec("m", None, "canary"), "regress"),
    ],
)
def test_routes(method, path, model, action):
    assert parse_route(method, path.encode()) == Call(model, action)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/"), ("GET", "/v1/foo"), ("GET", "/v1/models/"), ("GET", "/v1/models/m/"), ("GET", "/v1/models//m"),
        ("GET", "/v1/models/m:predict"), ("GET", "/v1/models/m/versions/-1"), ("GET", "/v1/models/m/versions/"),
        ("GET", "/v1/models/m/versions/1/labels/a"), ("GET", "/v1/models/m/../n"), ("GET", "/v1/models/m/metadata/"),
        ("GET", "/v1/models/m/versions/\u0661"),
        ("POST", "/v1/models/m"), ("POST", "/v1/models/:predict"), ("POST", "/v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict?a=b"), ("POST", "/v1/models/m:predict/"), ("POST", "/v1/models/a/b:predict"),
        ("PUT", "/v1/models/m:predict"), ("DELETE", "/v1/models/m"), ("HEAD", "/v1/models/m"),
    ],
)  # fmt: skip
def test_malformed(method, path):
    with pytest.raises(ServingError) as caught:
        parse_route(method, path.encode())
    assert (caught.value.code, caught.value.message) == ("INVALID_ARGUMENT", f"Malformed request: {method} {path}")


@pytest.mark.parametrize("digits", ["9223372036854775808", "18446744073709551615", "1" * 5000])
def test_versions_beyond_64_bits(digits):
    with pytest.raises(BadVersion):
        parse_route("GET", f"/v1/models/m/versions/{digits}".encode())


def test_targets():
    assert is_target(b"/v1/models/a-b_c.d~e%2F;@:!$&'()*+,=?x=[y]#z")
    for bad in (b"/a b", b"/%", b"/%2", b"/%g0", b"/a\\b", b"/{}", b"/\x7f", b"/\xc3\xa9", b'/"', b"/a?<"):
        assert not is_target(bad)
