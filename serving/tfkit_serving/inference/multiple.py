"""multi_inference: several classifications and regressions of the same examples."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tfkit_serving.inference.classification import CLASSIFY
from tfkit_serving.inference.examples import examples_of, examples_tensor
from tfkit_serving.inference.method import DEFAULT_SIGNATURE, INPUT, Method, Runner, refuse
from tfkit_serving.inference.regression import REGRESS
from tfkit_serving.protocol.messages import MultiInferenceResponse

_METHODS = {each.name: each for each in (CLASSIFY, REGRESS)}


async def multi_inference(servable: Runner, request: Any) -> Any:
    """Runs each task of a MultiInferenceRequest on the same examples.

    Args:
        servable: The version to run.
        request: The request; its tasks are for one model, a signature each.

    Returns:
        A MultiInferenceResponse message, a result for each task in their order; their model_spec is left to the caller.

    Raises:
        ServingError: INVALID_ARGUMENT, UNIMPLEMENTED: the tasks do not go together, or a task asks for neither
            classification nor regression. Or as `classify` and `regress`.
    """
    tasks = _tasks(servable, request)
    tensor = examples_tensor(*examples_of(request.input))
    ran = await asyncio.gather(*(servable.run(name, {INPUT: tensor}, outputs) for name, _, outputs in tasks))
    response = MultiInferenceResponse()
    for (_, method, _), arrays in zip(tasks, ran):
        result, kept = method.result(arrays, len(tensor)), response.results.add()
        (kept.classification_result if method is CLASSIFY else kept.regression_result).CopyFrom(result)
    return response


def _tasks(servable: Runner, request: Any) -> list[tuple[str, Method, Sequence[str]]]:
    """A signature's key, a method and the outputs to fetch for each task."""
    found: list[tuple[str, Method, Sequence[str]]] = []
    models = set()
    for task in request.tasks:
        if not task.model_spec.name:
            refuse("Found ModelSpec with an empty model name.")
        models.add(task.model_spec.name)
        if len(models) > 1:
            refuse("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if any(name == each for each, _, _ in found):
            refuse(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            refuse(f"Requested signature not found in model graph: {name}")
        method = _METHODS.get(task.method_name)
        if method is None:
            refuse(f"Unsupported signature method_name: {task.method_name}", "UNIMPLEMENTED")
        found.append((name, method, method.outputs(servable.signatures[name])))
    return found
