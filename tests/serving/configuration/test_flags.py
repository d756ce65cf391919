import re

import pytest

from tfkit_serving.configuration import flags
from tfkit_serving.configuration.flags import FlagError, Flags


def test_the_defaults_are_the_real_servers():
    found = Flags.parse(["--model_base_path=/m"])
    assert (found.port, found.rest_api_port, found.rest_api_timeout_in_ms) == (8500, 8501, 30000)
    assert (found.model_name, found.max_num_load_retries, found.load_retry_interval_micros) == (
        "default",
        5,
        60_000_000,
    )
    assert (found.file_system_poll_wait_seconds, found.model_config_file_poll_wait_seconds) == (1, 0)
    assert found.enable_model_warmup
    assert not found.allow_version_labels_for_unavailable_models


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--port=9"], "port", 9),
        (["--port", "9"], "port", 9),
        (["-port", "9"], "port", 9),
        (["--rest_api_port", "-1"], "rest_api_port", -1),
        (["--enable_model_warmup=false"], "enable_model_warmup", False),
        (["--enable_model_warmup", "false"], "enable_model_warmup", False),
        (["--enable_grpc_healthcheck_service"], "enable_grpc_healthcheck_service", True),
        (["--enable_grpc_healthcheck_service=True"], "enable_grpc_healthcheck_service", True),
        (["--model_name=a=b"], "model_name", "a=b"),
        (["--file_system_poll_wait_seconds=0.5"], "file_system_poll_wait_seconds", 0.5),
    ],
)
def test_both_ways_of_writing_a_value(arguments, name, value):
    for given in ([*arguments, "models"], ["models", *arguments]):
        found = Flags.parse(given)
        assert getattr(found, name) == value
        assert found.directory == "models"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["m", "--prot=1"], "unknown flag --prot; did you mean --port?"),
        (["m", "--zzz"], "unknown flag --zzz; --help lists the flags"),
        (["m", "--port=x"], "--port must be an integer; got 'x'"),
        (["m", "--port"], "--port needs a value"),
        (["m", "--enable_batching=maybe"], "--enable_batching must be true or false; got 'maybe'"),
        (["m", "--port=65536"], "--port must be at most 65535; got 65536"),
        (["m", "--model_threads=-1"], "--model_threads must be 0 or more; got -1"),
        (["m", "n"], "one directory can be served, not 'm' and 'n'; see --model_config_file"),
        (["m", "--model_base_path=/x"], "DIRECTORY and --model_base_path both say what to serve; give one of them"),
        ([], "nothing to serve: give a DIRECTORY with <model>/<version>/"),
    ],
)
def test_mistakes_are_named(arguments, text):
    with pytest.raises(FlagError, match=re.escape(text)):
        Flags.parse(arguments)


def test_help_names_every_flag():
    text = flags.describe()
    assert all(f"--{name}=" in text for name in Flags.__dataclass_fields__ if name != "directory")
