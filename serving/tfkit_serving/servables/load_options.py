"""LoadOptions: what a version's process is told about loading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadOptions:
    """How a version is loaded and warmed up.

    Attributes:
        intra_op_threads: Threads that share an operation; 0 for one a processor.
        inter_op_threads: Threads that run a graph's operations side by side; 0: the calling thread, but for loops.
        tags: Which graph of the SavedModel.
        session_config: A ConfigProto in text form; the threads and the share override it where they are given.
        gpu_memory_fraction: Share of a GPU's memory that the version takes at once; 0 for what it needs, as it grows.
        prefer_lite: Whether `model.tflite` is loaded where there is `saved_model.pb`, too.
        warm_up: How often each warm-up request of the version is run; 0 for never.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    tags: tuple[str, ...] = ("serve",)
    session_config: str = ""
    gpu_memory_fraction: float = 0.0
    prefer_lite: bool = False
    warm_up: int = 1
