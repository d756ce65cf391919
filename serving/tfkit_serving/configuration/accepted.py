"""Flags of tensorflow_model_server that have no use here, with the reason: taken with a word in the log, or refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """A flag of the real server that a command line may hold.

    Attributes:
        name: Its name.
        default: The real server's default, or 0 where that depends on the machine; its type is the flag's.
        reason: Why it has no use.
        refused: Whether a value other than the default is refused: what it asks for would silently not be so.
    """

    name: str
    default: bool | int | float | str
    reason: str
    refused: bool = False


_NO_THREADS = "requests take no threads here, and none is refused for want of one"
_THREADS = "a LiteRT model has an interpreter for each of --model_threads"

ACCEPTED = {
    each.name: each
    for each in (
        Accepted("rest_api_num_threads", 0, _NO_THREADS),
        Accepted("grpc_max_threads", 0, _NO_THREADS),
        Accepted("num_unload_threads", 0, "versions are unloaded side by side"),
        Accepted("flush_filesystem_caches", True, "the system drops what it read by itself"),
        Accepted("num_tflite_pools", 0, _THREADS),
        Accepted("num_tflite_interpreters_per_pool", 1, _THREADS),
        Accepted("remove_unused_fields_from_bundle_metagraph", True, "only the signatures of a graph are kept"),
        Accepted("enforce_session_run_timeout", True, "see --model_run_timeout_seconds"),
        Accepted("enable_signature_method_name_check", False, "signatures are told by the names of their tensors"),
        Accepted("xla_cpu_compilation_enabled", False, "what a model compiles by XLA is compiled"),
        Accepted("xla_gpu_compilation_enabled", False, "what a model compiles by XLA is compiled"),
        Accepted("thread_pool_factory_config_file", "", "see --tensorflow_intra_op_parallelism"),
        Accepted("mixed_precision", "", "a model runs in the precision that it was exported with"),
        Accepted("skip_initialize_tpu", False, "no TPU is initialized"),
        Accepted(
            "platform_config_file",
            "",
            "a model is served by TensorFlow or LiteRT alone; see --tensorflow_session_config_file, "
            "--batching_parameters_file and --saved_model_tags for what such a file may say",
            refused=True,
        ),
        Accepted("use_alts_credentials", False, "ALTS is not built in; see --ssl_config_file", refused=True),
    )
}
