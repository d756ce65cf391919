"""What flags mean to the parts of a server: bounds of the core, of REST and of gRPC."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from tfkit_serving.access import Gate, read_keys
from tfkit_serving.batching import BatchingOptions
from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.text import parse_text
from tfkit_serving.configuration.tls import read_ssl_config, server_context
from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.protocol.messages import MonitoringConfig, SSLConfig
from tfkit_serving.rest.options import PROMETHEUS_PATH, RestOptions
from tfkit_serving.routing.options import RoutingOptions, parse_shadows, parse_splits
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.servables.core import CoreOptions
from tfkit_serving.servables.load_options import LoadOptions
from tfkit_serving.servables.nursery_main import MAX_CONNECTIONS
from tfkit_serving.servables.process import ProcessOptions

T = TypeVar("T")
_LOADS = 2
_INT32 = re.compile(r"-?\d{1,9}")


def core_options(flags: Flags) -> CoreOptions:
    """How models are found, loaded and run.

    Raises:
        FlagError: The file with batching parameters, or that of TensorFlow's sessions, cannot be read.
    """
    batching = _batching(flags)
    process = ProcessOptions(
        threads=min(MAX_CONNECTIONS, flags.model_threads or (batching.threads if batching is not None else 0)),
        loading=_loading(flags),
        load_seconds=flags.load_timeout_seconds,
        run_seconds=flags.model_run_timeout_seconds,
    )
    return CoreOptions(
        poll_seconds=flags.file_system_poll_wait_seconds,
        retries=flags.max_num_load_retries,
        retry_seconds=max(0, flags.load_retry_interval_micros) / 1e6,
        loads=flags.num_load_threads or _LOADS,
        labels_of_unavailable=flags.allow_version_labels_for_unavailable_models,
        process=process,
        batching=batching,
        batching_of_versions=flags.enable_batching and flags.enable_per_model_batching_parameters,
    )


def rest_options(flags: Flags) -> RestOptions:
    """Bounds of REST, and where its metrics are.

    Raises:
        FlagError: The monitoring configuration cannot be read.
    """
    timeout = flags.rest_api_timeout_in_ms / 1e3 if flags.rest_api_timeout_in_ms > 0 else None
    return RestOptions(
        timeout_seconds=timeout,
        metrics_path=_metrics_path(flags),
        cors=flags.rest_api_enable_cors_support,
        request_log=flags.request_log or None,
        request_log_fraction=flags.request_log_fraction,
        max_body_bytes=flags.rest_api_max_body_bytes,
    )


def rpc_options(flags: Flags) -> RpcOptions:
    """What gRPC offers, and its certificates.

    Raises:
        FlagError: The SSL configuration or a channel argument cannot be read.
    """
    config = read_ssl_config("ssl_config_file", flags.ssl_config_file) if flags.ssl_config_file else SSLConfig()
    return RpcOptions(
        health=flags.enable_grpc_healthcheck_service,
        ssl_key=config.server_key.encode() or None,
        ssl_certificate=config.server_cert.encode() or None,
        ssl_client_ca=config.custom_ca.encode() or None,
        ssl_require_client=config.client_verify,
        socket_path=flags.grpc_socket_path or None,
        channel_arguments=_channel_arguments(flags),
        tensor_content=flags.enable_serialization_as_tensor_content,
        profiler=flags.enable_profiler,
    )


def rest_tls(flags: Flags) -> ssl.SSLContext | None:
    """How REST encrypts; None where it does not.

    Raises:
        FlagError: The SSL configuration cannot be read.
    """
    if not flags.rest_ssl_config_file:
        return None
    return server_context(read_ssl_config("rest_ssl_config_file", flags.rest_ssl_config_file))


def access_gate(flags: Flags) -> Gate | None:
    """Who lets requests in, of REST and gRPC alike; None where everyone may call.

    Raises:
        FlagError: The file with the keys cannot be read.
    """
    if not flags.api_keys_file:
        return None
    try:
        keys = read_keys(Path(flags.api_keys_file), "models")
    except ValueError as error:
        raise FlagError(str(error)) from error
    return Gate(keys, lambda reason: METRICS.refused.add((reason,)))


def routing_options(flags: Flags) -> RoutingOptions | None:
    """Where requests go that name no version; None where that is the newest, and no shadow is asked.

    Raises:
        FlagError: A split or a shadow cannot be read.
    """
    splits = _by_model(flags, "version_split", parse_splits)
    shadows = _by_model(flags, "version_shadow", parse_shadows)
    return RoutingOptions(splits, shadows) if splits or shadows else None


def _by_model(flags: Flags, name: str, parse: Callable[[Iterable[str]], dict[str, T]]) -> dict[str, T]:
    try:
        return parse(each for each in getattr(flags, name).split(";") if each.strip())
    except ValueError as error:
        raise FlagError(f"--{name} {error}") from error


def _loading(flags: Flags) -> LoadOptions:
    both = flags.tensorflow_session_parallelism
    return LoadOptions(
        intra_op_threads=flags.tensorflow_intra_op_parallelism or both,
        inter_op_threads=flags.tensorflow_inter_op_parallelism or both,
        tags=tuple(each.strip() for each in flags.saved_model_tags.split(",") if each.strip()),
        session_config=_text(flags, "tensorflow_session_config_file"),
        gpu_memory_fraction=flags.per_process_gpu_memory_fraction,
        prefer_lite=flags.prefer_tflite_model,
        warm_up=max(1, flags.num_request_iterations_for_warmup) if flags.enable_model_warmup else 0,
    )


def _text(flags: Flags, name: str) -> str:
    path = getattr(flags, name)
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, ValueError) as error:
        raise FlagError(f"--{name}: {error}") from error


def _channel_arguments(flags: Flags) -> tuple[tuple[str, int | str], ...]:
    """Names with values; those that are whole numbers of 32 bits are given as such, as gRPC asks for it."""
    pairs = [each.partition("=") for each in flags.grpc_channel_arguments.split(",") if each]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise FlagError(
                f"--grpc_channel_arguments takes NAME=VALUE, with commas between; got {flags.grpc_channel_arguments!r}"
            )
    return tuple((name, int(value) if _INT32.fullmatch(value) else value) for name, _, value in pairs)


def _batching(flags: Flags) -> BatchingOptions | None:
    if not flags.enable_batching:
        return None
    if not flags.batching_parameters_file:
        return BatchingOptions()
    try:
        return BatchingOptions.from_file(flags.batching_parameters_file)
    except (OSError, ValueError) as error:
        raise FlagError(f"--batching_parameters_file: {error}") from error


def _metrics_path(flags: Flags) -> str | None:
    """Where Prometheus reads; there without a configuration, whose real server has no such page then."""
    if not flags.monitoring_config_file:
        return PROMETHEUS_PATH
    config = _parsed(flags, "monitoring_config_file", MonitoringConfig()).prometheus_config
    return (config.path or PROMETHEUS_PATH) if config.enable else None


def _parsed(flags: Flags, name: str, message: Any) -> Any:
    path = getattr(flags, name)
    try:
        return parse_text(Path(path), message) if path else message
    except (OSError, ValueError) as error:
        raise FlagError(f"--{name}: {error}") from error
