import re

import pytest

from tfkit_serving.configuration import flags
from tfkit_serving.configuration.accepted import ACCEPTED
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
        (["--load_retry_interval_micros=-1"], "load_retry_interval_micros", -1),
        (["--use_tflite_model=true"], "prefer_tflite_model", True),
        (["--flush_filesystem_caches=False"], "unused", {"flush_filesystem_caches": False}),
        (["-grpc_max_threads", "64"], "unused", {"grpc_max_threads": 64}),
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
        (["m", "--model_config_file=/x"], "DIRECTORY and --model_config_file both say what to serve; give one of them"),
        (["m", "--num_unload_threads=two"], "--num_unload_threads must be an integer; got 'two'"),
        (["m", "--per_process_gpu_memory_fraction=1.5"], "must be from 0 to 1; got 1.5"),
        (["m", "--platform_config_file=/x"], "--platform_config_file is not served: a model is served by TensorFlow"),
        (["m", "--use_alts_credentials"], "--use_alts_credentials is not served: ALTS is not built in"),
        ([], "nothing to serve: give a DIRECTORY with <model>/<version>/"),
    ],
)
def test_mistakes_are_named(arguments, text):
    with pytest.raises(FlagError, match=re.escape(text)):
        Flags.parse(arguments)


def test_help_names_every_flag():
    text = flags.describe()
    assert all(f"--{name}=" in text for name in Flags.__dataclass_fields__ if name not in ("directory", "unused"))
    assert all(f"--{name} " in text for name in ACCEPTED)


# All of tensorflow_model_server's, most with values other than their defaults.
REAL = """
port=8500 grpc_socket_path=/tmp/sock rest_api_port=8501 rest_api_num_threads=8 rest_api_timeout_in_ms=5000
rest_api_enable_cors_support=true enable_batching=true allow_version_labels_for_unavailable_models=true
batching_parameters_file=/b enable_per_model_batching_parameters=true model_config_file=/c
model_config_file_poll_wait_seconds=1 model_name=m model_base_path=/m num_load_threads=4 num_unload_threads=4
max_num_load_retries=0 load_retry_interval_micros=-1 file_system_poll_wait_seconds=0 flush_filesystem_caches=false
tensorflow_session_parallelism=2 tensorflow_session_config_file=/s tensorflow_intra_op_parallelism=1
tensorflow_inter_op_parallelism=1 use_alts_credentials=false ssl_config_file=/t platform_config_file=
per_process_gpu_memory_fraction=0.5 saved_model_tags=serve,gpu grpc_channel_arguments=grpc.max_connection_age_ms=2000
grpc_max_threads=64 enable_model_warmup=true num_request_iterations_for_warmup=3 version=false
monitoring_config_file=/n remove_unused_fields_from_bundle_metagraph=false prefer_tflite_model=true num_tflite_pools=2
num_tflite_interpreters_per_pool=2 enable_signature_method_name_check=true xla_cpu_compilation_enabled=true
xla_gpu_compilation_enabled=true enable_profiler=false thread_pool_factory_config_file=/p mixed_precision=bfloat16
skip_initialize_tpu=true enable_grpc_healthcheck_service=true enable_serialization_as_tensor_content=true
"""


def test_the_real_servers_command_line_is_taken():
    found = Flags.parse([f"--{each}" for each in REAL.split()])
    assert (found.model_config_file, found.saved_model_tags) == ("/c", "serve,gpu")
    assert [each.partition("=")[0] for each in found.remarks()] == [
        "--rest_api_num_threads", "--grpc_max_threads", "--num_unload_threads", "--flush_filesystem_caches",
        "--num_tflite_pools", "--num_tflite_interpreters_per_pool", "--remove_unused_fields_from_bundle_metagraph",
        "--enable_signature_method_name_check", "--xla_cpu_compilation_enabled", "--xla_gpu_compilation_enabled",
        "--thread_pool_factory_config_file", "--mixed_precision", "--skip_initialize_tpu",
        "--model_base_path changes nothing here: --model_config_file says what is served",
    ]  # fmt: skip


def test_defaults_are_taken_without_a_remark():
    given = [f"--{each.name}={each.default}" for each in ACCEPTED.values()]
    assert Flags.parse(["models", *given]).remarks() == []
