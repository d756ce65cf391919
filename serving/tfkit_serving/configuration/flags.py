"""Flags: the command line of a model server, named and written as tensorflow_model_server's."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfkit_serving.configuration.accepted import ACCEPTED

_TRUE, _FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no")


class FlagError(ValueError):
    """A command line that cannot be read, or that asks for what cannot be."""


def _flag(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Flags:
    """What the server is told; `parse` reads it from a command line.

    Example:
        >>> Flags.parse(["--model_name=digits", "--model_base_path", "/models/digits", "--port=0"]).model_name
        'digits'
        >>> Flags.parse(["--model_nam=digits"])
        Traceback (most recent call last):
        ...
        tfkit_serving.configuration.flags.FlagError: unknown flag --model_nam; did you mean --model_name?
    """

    directory: str = _flag("", "Serves the newest version of each model of a directory with <model>/<version>/.")
    port: int = _flag(8500, "Port of gRPC; 0 for one that is free, below 0 for none.")
    rest_api_port: int = _flag(8501, "Port of REST; 0 for one that is free, below 0 for none.")
    host: str = _flag("0.0.0.0", "Address to listen on, for both.")
    port_file: str = _flag("", 'File to write {"rest": PORT, "grpc": PORT} to once both listen.')
    rest_api_timeout_in_ms: int = _flag(30000, "How long a REST request may take.")
    rest_api_enable_cors_support: bool = _flag(False, "Lets browsers call REST from other sites.")
    rest_api_max_body_bytes: int = _flag(64 << 20, "Largest body of a REST request, inflated.")
    request_log: str = _flag("", "File for one JSON line a REST request.")
    request_log_fraction: float = _flag(1.0, "Share of the successes that are written to it; failures always are.")
    grpc_socket_path: str = _flag("", "Socket file on which gRPC listens, too.")
    grpc_channel_arguments: str = _flag("", "Arguments of gRPC's own: NAME=VALUE, with commas between.")
    enable_serialization_as_tensor_content: bool = _flag(False, "Answers Predict with tensors in raw bytes.")
    model_name: str = _flag("default", "Name of the model of --model_base_path.")
    model_base_path: str = _flag("", "Serves the newest version below this folder.")
    model_config_file: str = _flag("", "Serves the models of a ModelServerConfig in text form.")
    model_config_file_poll_wait_seconds: int = _flag(0, "How often that file is read again; 0 for never.")
    file_system_poll_wait_seconds: float = _flag(1.0, "How often new versions are looked for; 0 for once.")
    allow_version_labels_for_unavailable_models: bool = _flag(False, "Lets labels name unavailable versions.")
    max_num_load_retries: int = _flag(5, "How often loading a version is tried again.")
    load_retry_interval_micros: int = _flag(60_000_000, "How long to wait before.")
    num_load_threads: int = _flag(2, "Versions that are loaded at the same time; 0 for 2.")
    load_timeout_seconds: float = _flag(600.0, "How long loading a version with its warm-up may take.")
    enable_model_warmup: bool = _flag(True, "Runs assets.extra/tf_serving_warmup_requests of a version first.")
    num_request_iterations_for_warmup: int = _flag(0, "How often each of these requests is run; 0 for once.")
    saved_model_tags: str = _flag("serve", "Tags of the graph that is loaded, with commas between.")
    prefer_tflite_model: bool = _flag(False, "Serves model.tflite of a version that has saved_model.pb, too.")
    model_run_timeout_seconds: float = _flag(60.0, "Kills and reloads a model whose call takes longer; 0 for never.")
    enable_batching: bool = _flag(True, "Lets requests that come while a call runs share the next; it never waits.")
    batching_parameters_file: str = _flag(
        "", "BatchingParameters in text form: the largest batch, sizes that are allowed, queues, threads."
    )
    enable_per_model_batching_parameters: bool = _flag(
        False, "Batches the versions with a batching_params.pbtxt alone, by what it says."
    )
    tensorflow_session_config_file: str = _flag("", "ConfigProto in text form, for TensorFlow's sessions.")
    per_process_gpu_memory_fraction: float = _flag(0.0, "Share of a GPU's memory for each version; 0: as it grows.")
    tensorflow_session_parallelism: int = _flag(0, "Sets both of the next two; 0 for automatic.")
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads that share an operation; 0 for one a processor.")
    tensorflow_inter_op_parallelism: int = _flag(0, "Threads for operations side by side; 0: the calling thread.")
    model_threads: int = _flag(
        0, "Calls of a version that run at once; 0: num_batch_threads of the batching parameters, or one a processor."
    )
    monitoring_config_file: str = _flag("", "MonitoringConfig in text form: prometheus_config {enable, path}.")
    ssl_config_file: str = _flag("", "SSLConfig in text form, for gRPC.")
    rest_ssl_config_file: str = _flag("", "The same for REST, which it then speaks over TLS alone.")
    api_keys_file: str = _flag("", "Asks for an API key; one a line: NAME SHA256 [rate=N] [models=A,B].")
    enable_grpc_healthcheck_service: bool = _flag(False, "Answers grpc.health.v1.Health.")
    version_split: str = _flag(
        "", "Divides requests that name no version, as MODEL:stable=90,canary=10; ';' between models."
    )
    version_shadow: str = _flag(
        "", "Asks a version too, and compares: MODEL:canary, or MODEL:canary=10 for 10%; ';' between models."
    )
    enable_profiler: bool = _flag(True, "Answers TensorFlow's profiler, such as TensorBoard's; a version is one host.")
    drain_seconds: float = _flag(30.0, "How long requests in flight may take once the server is told to stop.")
    version: bool = _flag(False, "Prints the version and ends.")
    unused: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Flags:
        """Reads a command line: `--name=value`, `--name value`, `--switch`, and one directory without a name.

        Flags of the real server that have no use here are kept in `unused`.

        Raises:
            FlagError: A flag is not known or its value is none; says which, and what is nearest.
        """
        given: dict[str, Any] = {}
        for name, value in _pairs(arguments):
            if name == "directory" and name in given:
                raise FlagError(
                    f"one directory can be served, not {given[name]!r} and {value!r}; see --model_config_file"
                )
            given[name] = value
        unused = {name: given.pop(name) for name in ACCEPTED if name in given}
        flags = cls(**given, unused=unused)
        flags._check()
        return flags

    def remarks(self) -> list[str]:
        """What was given and has no effect, each with the reason.

        Example:
            >>> Flags.parse(["models", "--num_unload_threads=2", "--skip_initialize_tpu=false"]).remarks()
            ['--num_unload_threads=2 changes nothing here: versions are unloaded side by side']
        """
        found = [
            f"--{name}={_shown(value)} changes nothing here: {ACCEPTED[name].reason}"
            for name, value in self.unused.items()
            if value != ACCEPTED[name].default
        ]
        if self.model_config_file and self.model_base_path:
            found.append("--model_base_path changes nothing here: --model_config_file says what is served")
        return found

    def _check(self) -> None:
        if self.version:
            return
        self._check_sources()
        for name in ("port", "rest_api_port"):
            if getattr(self, name) > 65535:
                raise FlagError(f"--{name} must be at most 65535; got {getattr(self, name)}")
        for name in ("max_num_load_retries", "num_load_threads", "model_threads"):
            if getattr(self, name) < 0:
                raise FlagError(f"--{name} must be 0 or more; got {getattr(self, name)}")
        if not 0 <= self.per_process_gpu_memory_fraction <= 1:
            raise FlagError(
                f"--per_process_gpu_memory_fraction must be from 0 to 1; got {self.per_process_gpu_memory_fraction}"
            )
        for name, value in self.unused.items():
            if ACCEPTED[name].refused and value != ACCEPTED[name].default:
                raise FlagError(f"--{name} is not served: {ACCEPTED[name].reason}")

    def _check_sources(self) -> None:
        # As in the real server, --model_base_path is not looked at beside --model_config_file.
        one = "--model_config_file" if self.model_config_file else "--model_base_path"
        named = self.model_config_file or self.model_base_path
        if self.directory and named:
            raise FlagError(f"DIRECTORY and {one} both say what to serve; give one of them")
        if not self.directory and not named:
            raise FlagError(
                "nothing to serve: give a DIRECTORY with <model>/<version>/, or --model_config_file, or "
                "--model_name with --model_base_path"
            )


def describe() -> str:
    """The flags with their defaults, for `--help`."""
    rows = [(f"--{each.name}={_shown(each.default)}", each.metadata["help"]) for each in _FIELDS]
    unused = [(f"--{each.name}", each.reason) for each in ACCEPTED.values()]
    width = max(len(name) for name, _ in rows + unused)
    blocks = [[f"  {name.ljust(width)}  {text}" for name, text in block] for block in (rows, unused)]
    return "\n".join([*blocks[0], "", "Flags of tensorflow_model_server that have no use here:", *blocks[1]])


_FIELDS = [each for each in dataclasses.fields(Flags) if each.name not in ("directory", "unused")]
_DEFAULTS: dict[str, Any] = {
    **{each.name: each.default for each in _FIELDS},
    **{name: each.default for name, each in ACCEPTED.items()},
}
_OLD_NAMES = {"use_tflite_model": "prefer_tflite_model"}


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, Any]]:
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-"):
            yield "directory", argument
            continue
        name, equals, text = argument.lstrip("-").partition("=")
        name = _OLD_NAMES.get(name, name)
        if name not in _DEFAULTS:
            raise FlagError(f"unknown flag {argument.partition('=')[0]}{_nearest(name)}")
        if not equals:
            text = _following(name, rest)
        yield name, _value(name, text)


def _following(name: str, rest: list[str]) -> str:
    """The value that comes as the next argument; a switch takes it only if it reads as one."""
    if isinstance(_DEFAULTS[name], bool):
        return rest.pop(0) if rest and rest[0].lower() in _TRUE + _FALSE else "true"
    if not rest:
        raise FlagError(f"--{name} needs a value")
    return rest.pop(0)


def _value(name: str, text: str) -> Any:
    kind: Any = type(_DEFAULTS[name])
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise FlagError(f"--{name} must be true or false; got {text!r}")
        return text.lower() in _TRUE
    try:
        return kind(text)
    except ValueError:
        raise FlagError(f"--{name} must be {'an integer' if kind is int else 'a number'}; got {text!r}") from None


def _nearest(name: str) -> str:
    found = difflib.get_close_matches(name, _DEFAULTS, n=1)
    return f"; did you mean --{found[0]}?" if found else "; --help lists the flags"
