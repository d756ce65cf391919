"""Purpose: what a model is for, a classification or a regression, and what the classes are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tfkit.errors import ParameterError
from tfkit.formats.signature import Signature, Tensor

Task: TypeAlias = Literal["classification", "regression"]
Scores: TypeAlias = Literal["probabilities", "logits"]
TASKS = ("classification", "regression")


@dataclass(frozen=True)
class Purpose:
    """What a model is for.

    Attributes:
        task: "classification", "regression", or None where neither is known.
        output: The output that holds the answer, or None.
        scores: What a classifier's output holds; None for others.
        labels: Names of the classes, in the order of the scores; empty where there are none.
    """

    task: Task | None = None
    output: Tensor | None = None
    scores: Scores | None = None
    labels: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What `tfkit.json` says of it."""
        return {"task": self.task, "scores": self.scores, "labels": list(self.labels) or None}


def purpose_of(
    model: Any, signature: Signature, *, task: Task | None = None, labels: Sequence[str] | None = None
) -> Purpose:
    """What a Keras model is for: as told, else by its last activation and the loss that it was compiled with.

    Args:
        model: A built Keras model.
        signature: Its signature.
        task: As `purpose_by`'s.
        labels: As `purpose_by`'s.

    Raises:
        ParameterError: As `purpose_by`.

    Example:
        >>> import keras
        >>> from tfkit.formats.named_model import NamedModel
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
        >>> NamedModel(model, labels=["red", "green", "blue"]).purpose.scores
        'probabilities'
    """
    return purpose_by(_activation(model), _loss(model), signature, task=task, labels=labels)


def purpose_by(
    activation: str,
    loss: str,
    signature: Signature,
    *,
    task: Task | None = None,
    labels: Sequence[str] | None = None,
) -> Purpose:
    """What a model is for: as told, else by how its output is computed.

    Args:
        activation: What gives the only output, such as "softmax"; empty where that is not known.
        loss: What it was trained with, in small letters; empty where that is not known.
        signature: Its signature.
        task: "classification" or "regression"; None finds it out.
        labels: Names of the classes; two for an output of one number, the second for 1.

    Raises:
        ParameterError: No such task, or labels that no output fits.

    Example:
        >>> purpose_by("softmax", "", Signature((), (Tensor("scores", "float32", (None, 3)),))).task
        'classification'
    """
    if task is not None and task not in TASKS:
        raise ParameterError(f"task= must be 'classification', 'regression' or None; got {task!r}")
    names = _checked_labels(labels)
    output = _answer(signature, names)
    if names and (output is None or task == "regression"):
        shapes = ", ".join(f"{each.name} {each.shape}" for each in signature.outputs)
        raise ParameterError(f"labels= names {len(names)} classes, but no output is their scores: {shapes}")
    if output is None:
        return Purpose(task)
    found = task or ("classification" if names else _guessed(output, activation, loss))
    scores: Scores = "probabilities" if _are_probabilities(activation, loss) else "logits"
    return Purpose(found, output, scores if found == "classification" else None, names)


def _checked_labels(labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is None:
        return ()
    if isinstance(labels, str) or not all(isinstance(each, str) for each in labels) or len(labels) < 2:
        raise ParameterError(f"labels= must be the names of two classes or more, a list of str; got {labels!r}")
    if len(set(labels)) < len(labels):
        raise ParameterError(f"labels= must be names that differ; got {list(labels)}")
    return tuple(labels)


def _answer(signature: Signature, labels: tuple[str, ...]) -> Tensor | None:
    """The output of scores: the only one, or the only one that has as many numbers as there are labels."""
    floats = [each for each in signature.outputs if "float" in each.dtype and len(each.shape) in (1, 2)]
    if labels:
        floats = [each for each in floats if classes(each) == len(labels)]
    alone = len(floats) == 1 and (bool(labels) or len(signature.outputs) == 1)
    return floats[0] if alone else None


def classes(output: Tensor) -> int | None:
    """How many classes an output of scores has: two where it is one number; None where that is open."""
    width = output.shape[1] if len(output.shape) == 2 else 1
    return 2 if width == 1 else width


def is_scalar(output: Tensor) -> bool:
    """Whether an output is one number a row."""
    return len(output.shape) == 1 or output.shape[1] == 1


def _guessed(output: Tensor, activation: str, loss: str) -> Task | None:
    many_labels = not is_scalar(output) and (activation == "sigmoid" or "binary" in loss)
    if activation in ("softmax", "sigmoid") or "crossentropy" in loss:
        return None if many_labels else "classification"
    return "regression" if is_scalar(output) else None


def _are_probabilities(activation: str, loss: str) -> bool:
    return activation in ("softmax", "sigmoid") or (activation != "linear" and "logits" not in loss)


def _activation(model: Any) -> str:
    """The name of the activation that gives the only output; empty where it cannot be told."""
    import keras

    layer = _last_layer(model)
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _last_layer(model: Any) -> Any:
    """The layer that gives the only output, looked for inside of models; None where it cannot be told."""
    import keras

    while isinstance(model, keras.Model):
        if isinstance(model, keras.Sequential):
            model = model.layers[-1]
            continue
        outputs = keras.tree.flatten(getattr(model, "output", None)) if hasattr(model, "output_names") else []
        if len(outputs) != 1:
            return None
        model = outputs[0]._keras_history.operation
    return model


def _loss(model: Any) -> str:
    """The loss that the model, or one inside it, was compiled with, in small letters; empty where there is none."""
    import keras

    models = [each for each in (model, *model._flatten_layers()) if isinstance(each, keras.Model)]
    loss = next((each.loss for each in models if getattr(each, "compiled", False) and each.loss), None)
    if loss is None or isinstance(loss, (dict, list)):
        return ""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", None) or type(loss).__name__
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return name.lower().replace("_", "") + (" logits" if config.get("from_logits") else "")
