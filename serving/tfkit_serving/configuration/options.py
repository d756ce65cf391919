"""What flags mean to the parts of a server: bounds of the core, of REST and of gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfkit_serving.batching import BatchingOptions
from tfkit_serving.configuration.flags import FlagError, Flags
from tfkit_serving.configuration.text import parse_text
from tfkit_serving.protocol.messages import MonitoringConfig, SSLConfig
from tfkit_serving.rest.options import PROMETHEUS_PATH, RestOptions
from tfkit_serving.rpc.options import RpcOptions
from tfkit_serving.servables.core import CoreOptions
from tfkit_serving.servables.process import ProcessOptions

_LOADS = 2


def core_options(flags: Flags) -> CoreOptions:
    """How models are found, loaded and run.

    Raises:
        FlagError: The file with batching parameters cannot be read.
    """
    both = flags.tensorflow_session_parallelism
    process = ProcessOptions(
        threads=flags.model_threads,
        intra_op_threads=flags.tensorflow_intra_op_parallelism or both,
        inter_op_threads=flags.tensorflow_inter_op_parallelism or both,
        warm_up=flags.enable_model_warmup,
        load_seconds=flags.load_timeout_seconds,
        run_seconds=flags.model_run_timeout_seconds,
    )
    return CoreOptions(
        poll_seconds=flags.file_system_poll_wait_seconds,
        retries=flags.max_num_load_retries,
        retry_seconds=flags.load_retry_interval_micros / 1e6,
        loads=flags.num_load_threads or _LOADS,
        labels_of_unavailable=flags.allow_version_labels_for_unavailable_models,
        process=process,
        batching=_batching(flags),
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
        FlagError: The SSL configuration cannot be read.
    """
    config = _parsed(flags, "ssl_config_file", SSLConfig())
    return RpcOptions(
        health=flags.enable_grpc_healthcheck_service,
        ssl_key=config.server_key.encode() or None,
        ssl_certificate=config.server_cert.encode() or None,
        ssl_client_ca=config.custom_ca.encode() or None,
        ssl_require_client=config.client_verify,
    )


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
