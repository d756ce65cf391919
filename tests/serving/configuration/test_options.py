"""What the flags mean to the core and to gRPC."""

import pytest

from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.options import core_options, rpc_options
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.servables.load_options import LoadOptions


def flags(*arguments):
    return Flags.parse(["models", *arguments])


def loading(*arguments):
    return core_options(flags(*arguments)).process.loading


def test_nothing_is_loaded_in_a_way_of_its_own_unless_asked_for():
    assert loading() == LoadOptions()
    assert rpc_options(flags()) == RpcOptions()


def test_how_versions_are_loaded(tmp_path):
    config = tmp_path / "session.config"
    config.write_text("allow_soft_placement: true")
    found = loading(
        "--saved_model_tags=serve, gpu",
        "--tensorflow_session_parallelism=3",
        "--tensorflow_inter_op_parallelism=2",
        f"--tensorflow_session_config_file={config}",
        "--per_process_gpu_memory_fraction=0.25",
        "--prefer_tflite_model",
        "--num_request_iterations_for_warmup=4",
    )
    assert found == LoadOptions(3, 2, ("serve", "gpu"), "allow_soft_placement: true", 0.25, True, 4)


def test_warm_up_can_be_left_out_whatever_its_iterations():
    assert loading("--enable_model_warmup=false", "--num_request_iterations_for_warmup=4").warm_up == 0


def test_a_negative_interval_between_retries_is_none():
    assert core_options(flags("--load_retry_interval_micros=-1")).retry_seconds == 0


@pytest.mark.parametrize(("switches", "expected"), [((), False), (("--enable_batching=false",), False)])
def test_versions_bring_their_batching_along_where_there_are_batches(switches, expected):
    assert core_options(flags(*switches)).batching_of_versions is expected
    assert core_options(flags("--enable_per_model_batching_parameters")).batching_of_versions


def test_arguments_of_grpc_are_numbers_where_they_can_be():
    given = "grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb,a.b=-1,long=99999999999,eq=a=b"
    assert rpc_options(flags(f"--grpc_channel_arguments={given}")).channel_arguments == (
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.lb_policy_name", "grpclb"),
        ("a.b", -1),
        ("long", "99999999999"),
        ("eq", "a=b"),
    )


@pytest.mark.parametrize("given", ["grpc.max_connection_age_ms", "=1", "a=1,b"])
def test_an_argument_of_grpc_without_name_or_value_is_refused(given):
    with pytest.raises(FlagError, match="--grpc_channel_arguments takes NAME=VALUE, with commas between; got"):
        rpc_options(flags(f"--grpc_channel_arguments={given}"))


def test_a_session_configuration_that_cannot_be_read_is_told_at_start():
    with pytest.raises(FlagError, match=r"--tensorflow_session_config_file: .*No such file"):
        core_options(flags("--tensorflow_session_config_file=/nowhere"))


def test_what_grpc_offers_beside_its_port():
    found = rpc_options(
        flags("--grpc_socket_path=/s", "--enable_serialization_as_tensor_content", "--enable_profiler=false")
    )
    assert (found.socket_path, found.tensor_content, found.profiler) == ("/s", True, False)
