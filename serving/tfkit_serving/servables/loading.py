"""LoadedModel: a version in this process, run by a session as in TensorFlow Serving. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2

from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.servables.load_options import LoadOptions

# DirectSession's word for the thread that calls: no hops between threads, which cost a small model half of its time.
_CALLING_THREAD = -1
_WRONG_DTYPE = "Type mismatch: actual "
_DEFAULTS = LoadOptions()
_LOOPS = frozenset({"While", "StatelessWhile", "Enter", "RefEnter", "For", "Scan"})


class LoadedModel:
    """A version of a model, loaded.

    Args:
        path: The version's folder.
        options: How it is loaded. Without threads for operations side by side, the calling thread runs them one by
            one, but for graphs with loops, which take TensorFlow's own number.

    Raises:
        tf.errors.OpError: TensorFlow refuses to load it.
        OSError: A file is missing or damaged.
        RuntimeError: It has no graph with these tags.
        ServingError: The session's configuration is none.
    """

    def __init__(self, path: str, options: LoadOptions = _DEFAULTS) -> None:
        config = _config(options)
        graph = tf.Graph()
        with graph.as_default():
            self._session = tf.compat.v1.Session(graph=graph, config=config)
            meta_graph = tf.compat.v1.saved_model.loader.load(self._session, list(options.tags), path)
        self._signatures: dict[str, Any] = dict(meta_graph.signature_def.items())
        alone = not config.inter_op_parallelism_threads and not _has_loop(meta_graph.graph_def)
        self._pool = _CALLING_THREAD if alone else 0
        self._callables: dict[Any, tuple[Any, tuple[str, ...]]] = {}

    def signature_defs(self) -> dict[str, bytes]:
        """Every SignatureDef of the graph, serialized, by its key."""
        return {key: each.SerializeToString() for key, each in self._signatures.items()}

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its key.
            inputs: Arrays by input name; nothing is checked before the kernels do.
            outputs: Names of the outputs to fetch; None for all.

        Returns:
            Arrays by output name.

        Raises:
            tf.errors.OpError: A kernel's error.
            KeyError: A name that the signature lacks.
        """
        key = (signature, tuple(inputs), None if outputs is None else tuple(outputs))
        found = self._callables.get(key)
        if found is None:
            found = self._callables[key] = self._callable(*key)
        function, names = found
        try:
            results = function(*inputs.values())
        except tf.errors.InvalidArgumentError as error:
            if not error.message.startswith(_WRONG_DTYPE):
                raise
            results = self._checked_run(signature, inputs, names)
        return {name: _array(each) for name, each in zip(names, results)}

    def _checked_run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Any:
        """As DirectSession::Run has it, which checks dtypes before the kernels do, in TensorFlow Serving's words."""
        definition, graph = self._signatures[signature], self._session.graph

        def tensor(name: str) -> Any:
            return graph.as_graph_element(name)._as_tf_output()

        feed = {tensor(definition.inputs[name].name): each for name, each in inputs.items()}
        fetch = [tensor(definition.outputs[name].name) for name in outputs]
        return self._session._call_tf_sessionrun(None, feed, fetch, [], None)

    def _callable(
        self, signature: str, inputs: tuple[str, ...], outputs: tuple[str, ...] | None
    ) -> tuple[Any, tuple[str, ...]]:
        definition = self._signatures[signature]
        names = tuple(definition.outputs) if outputs is None else outputs
        options = config_pb2.CallableOptions(
            feed=[definition.inputs[each].name for each in inputs],
            fetch=[definition.outputs[each].name for each in names],
        )
        options.run_options.inter_op_thread_pool = self._pool
        # Session.run would refuse shapes that the graph's placeholders do not have; kernels say it in their own words.
        return self._session._make_callable_from_options(options), names


def _config(options: LoadOptions) -> Any:
    config = config_pb2.ConfigProto()
    try:
        text_format.Parse(options.session_config, config)
    except text_format.ParseError as error:
        raise ServingError(
            "INVALID_ARGUMENT", f"Error parsing text-format {config.DESCRIPTOR.full_name}: {error}"
        ) from error
    config.intra_op_parallelism_threads = options.intra_op_threads or config.intra_op_parallelism_threads
    config.inter_op_parallelism_threads = options.inter_op_threads or config.inter_op_parallelism_threads
    gpu = config.gpu_options
    gpu.per_process_gpu_memory_fraction = options.gpu_memory_fraction or gpu.per_process_gpu_memory_fraction
    if not gpu.per_process_gpu_memory_fraction:
        gpu.allow_growth = True  # each version is a process: none may take a whole GPU
    return config


def _array(value: Any) -> np.ndarray:
    """An output as an array: TensorFlow gives a single string as bytes."""
    array: np.ndarray = np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
    return array


def _has_loop(graph: Any) -> bool:
    """Whether a graph loops: run by one thread, an iteration may lie on the stack of the one before."""
    functions = (node for function in graph.library.function for node in function.node_def)
    return any(node.op in _LOOPS for nodes in (graph.node, functions) for node in nodes)
