"""What the SSLConfig files and the keys file of a command line may say; all is told before anything is loaded."""

import ssl
import subprocess

import pytest

from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.options import access_gate, rest_tls, rpc_options
from tfkit_serving.embedded import Server


@pytest.fixture
def write(tmp_path, certificates):
    """Writes an SSLConfig over the server's own pair, write(client_verify="true"); a field that is None is left out."""
    certificate, key = (each.read_text() for each in certificates)

    def escaped(text):
        return '"' + text.replace("\n", "\\n") + '"'

    def written(server_key=key, server_cert=certificate, custom_ca=None, **others):
        fields = {"server_key": server_key, "server_cert": server_cert, "custom_ca": custom_ca}
        lines = [f"{name}: {escaped(value)}" for name, value in fields.items() if value is not None]
        path = tmp_path / "ssl.config"
        path.write_text("\n".join([*lines, *(f"{name}: {value}" for name, value in others.items())]))
        return path

    return written


def rest(path):
    return rest_tls(Flags.parse(["models", f"--rest_ssl_config_file={path}"]))


def told(flag, path):
    """What a server says of a file, before it is started."""
    with pytest.raises(FlagError) as caught:
        Server(Flags.parse(["models", f"--{flag}={path}"]))
    return str(caught.value)


def test_each_flag_is_for_its_own_protocol(write, certificates):
    path = write(client_verify="true", custom_ca=certificates[0].read_text())
    context = rest(path)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "server"),),)]
    flags = Flags.parse(["models", f"--ssl_config_file={path}"])
    assert rest_tls(flags) is None
    options = rpc_options(flags)
    assert (options.ssl_key, options.ssl_require_client) == (certificates[1].read_bytes(), True)


def test_clients_show_nothing_unless_they_must(write, certificates):
    context = rest(write(custom_ca=certificates[0].read_text()))
    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("flag", ["ssl_config_file", "rest_ssl_config_file"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"server_cert": None}, "TLS takes a key and a certificate; server_cert is missing"),
        ({"server_key": ""}, "TLS takes a key and a certificate; server_key is missing"),
        ({"server_key": "s3cret"}, "server_key and server_cert are no key and certificate in PEM form that belong"),
        ({"server_cert": "/etc/server.pem"}, "server_key and server_cert are no key and certificate"),
        ({"client_verify": "true", "custom_ca": "none"}, "custom_ca holds no certificates in PEM form"),
        ({"server_kye": '"s3cret"'}, "ssl.config: line 3 is no SSLConfig in text form"),
    ],
)
def test_wrong_certificates_are_told_without_the_key(flag, write, fields, words):
    text = told(flag, write(**fields))
    assert text.startswith(f"--{flag}: ")
    assert words in text
    assert "s3cret" not in text


def test_a_pair_that_does_not_belong_together_is_told(write, make_certificate):
    other = make_certificate("client")[1].read_text()
    assert "that belong together" in told("rest_ssl_config_file", write(server_key=other))


def test_a_key_with_a_password_is_told_and_nobody_asked_for_it(write, certificates, tmp_path):
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", certificates[1], "-out", locked, "-passout", "pass:word"]
    subprocess.run(command, check=True, capture_output=True)
    assert "that belong together" in told("rest_ssl_config_file", write(server_key=locked.read_text()))


def test_files_that_cannot_be_read_are_told(tmp_path):
    for flag in ("ssl_config_file", "rest_ssl_config_file"):
        assert f"--{flag}: [Errno 2] No such file or directory" in told(flag, tmp_path / "none")
    assert f"--api_keys_file '{tmp_path / 'none'}' cannot be read" in told("api_keys_file", tmp_path / "none")


def test_keys_of_a_server_are_bound_to_models(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"web {'0' * 64} tasks=digits\n")
    assert "tasks= is for `tfkit gateway`; here it is models=A,B" in told("api_keys_file", path)
    assert access_gate(Flags.parse(["models"])) is None
