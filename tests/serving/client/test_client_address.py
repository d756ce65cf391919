import pytest

from tfkit_serving.client.address import Address, parse_address


@pytest.mark.parametrize(
    ("url", "transport", "address"),
    [
        ("http://host:8501", None, Address("rest", "host", 8501)),
        ("host:8500", "grpc", Address("grpc", "host", 8500)),
        ("host", None, Address("rest", "host", 8501)),
        ("https://host/models/", "rest", Address("rest", "host", 443, True, "/models")),
        ("https://host:9000", "grpc", Address("grpc", "host", 9000, True)),
        ("grpcs://[::1]:1", None, Address("grpc", "::1", 1, True)),
        ("[::1]", "grpc", Address("grpc", "::1", 8500)),
    ],
)
def test_forms_of_a_url(url, transport, address):
    assert parse_address(url, transport) == address


@pytest.mark.parametrize(
    ("url", "transport", "words"),
    [
        ("", None, "no server's address"),
        (8501, None, "8501 is no server's address"),
        ("ftp://host", None, "no server's address"),
        ("http://host?x=1", None, "no server's address"),
        ("http://host:", None, "no port's number after its colon"),
        ("http://host:x", None, "no port's number after its colon"),
        ("http://host:8501/v1/models/m", None, "a model's URL"),
        ("http://host/prefix", "grpc", "gRPC takes none"),
        ("grpc://host", "rest", "was asked for"),
        ("host", "soap", '"rest" or "grpc"'),
    ],
)
def test_what_is_no_address(url, transport, words):
    with pytest.raises(ValueError, match=words):
        parse_address(url, transport)
