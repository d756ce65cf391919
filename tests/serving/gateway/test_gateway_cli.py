"""What `tfkit gateway` refuses before it serves."""

import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tfkit.cli.gateway import gateway as command
from tfkit.errors import ParameterError


def run(*arguments):
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "stable"], "--split 'stable'"),
        (["--split", "nope:stable=1,canary=1"], "know no task 'nope'; there are embed, price, sentiment"),
        (["--shadow", "nope:canary"], "know no task 'nope'"),
        (["--shadow", "canary=0"], "--shadow 'canary=0'"),
        (["--shadow", "canary", "--shadow", "stable"], "all other models is there twice"),
        (["--api_keys_file", "/nowhere/keys"], "cannot be read"),
        (["--tls_key", "key.pem"], "give --tls_certificate too"),
        (["--tls_certificate", "none.pem"], "cannot be read"),
        (["--host", "256.0.0.1"], "no address of this machine"),
    ],
)
def test_wrong_options_are_told(models, arguments, words):
    result = run("--models", str(models), "--server", "http://127.0.0.1:1", "--port", "0", *arguments)
    assert isinstance(result.exception, ParameterError)
    assert words in str(result.exception)


def test_a_port_in_use_is_named(models):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("--models", str(models), "--server", "http://127.0.0.1:1", "--port", port)
    assert f"--port {port} on 127.0.0.1 cannot be had" in str(result.exception)


def test_a_folder_that_is_not_there_is_told():
    result = run("--models", "/nowhere", "--server", "http://127.0.0.1:1")
    assert (result.exit_code, "there is no '/nowhere'" in result.output) == (2, True)


def test_the_gateway_imports_no_tensorflow():
    code = "import sys, tfkit_serving.gateway.app; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
