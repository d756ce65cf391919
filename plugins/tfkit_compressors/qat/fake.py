"""FakeQuantization: a model that computes with quantized weights and activations, and stays the model it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import keras
from keras.src.backend.common.stateless_scope import get_stateless_scope

from tfkit import graph
from tfkit.attach.methods import remove_from_method, replace_method
from tfkit_compressors.qat.attention import query_factor, unscaled
from tfkit_compressors.qat.frozen import Frozen
from tfkit_compressors.qat.plan import Fold, planned
from tfkit_compressors.qat.sites import QuantizedOperation
from tfkit_compressors.qat.weights import chosen
from tfkit_compressors.schemas import Qat


class FakeQuantization:
    """Stands in for the `call` of a model and of its operations, while it is installed.

    The model's call runs in a `keras.StatelessScope` in which its kernels have quantized values; what else
    changes there, such as statistics and seeds, is written back. Nothing is wrapped or cloned: the model's
    layers, variables and compile() are its own, so that any fit, custom training step or nested model works.

    Args:
        model: A built model.
        settings: The parameters of qat.
        own: Bits of single kernels, by the id of their variables.

    Attributes:
        kernels: The kernels that are fake-quantized.

    Raises:
        ModelError: There is nothing to quantize, or the model's activations cannot be told apart.
    """

    def __init__(self, model: keras.Model, settings: Qat, own: Mapping[int, int] = MappingProxyType({})) -> None:
        self.model = model
        self.settings = settings
        self.kernels = chosen(model, settings, own)
        tables = {id(each.layer) for each in self.kernels}
        sites, self._folds = planned(model, tables) if settings.activations == 8 else ([], [])
        self._operations = [QuantizedOperation(site, model.distribute_strategy) for site in sites]
        self._frozen: Frozen | None = None

    @property
    def folds(self) -> list[Fold]:
        """The BatchNormalization layers that are folded, each with the layer before it."""
        return self._folds

    @property
    def score_step(self) -> float:
        """The quantization step of the scores that the model's last softmax or sigmoid takes; 0.0 for none."""
        if not self._operations:
            return 0.0
        flat = graph.flattened(self.model)
        last = {id(call.operation) for call in flat.calls if not {*call.outputs}.isdisjoint(flat.outputs)}
        return max((each.score_step for each in self._operations if id(each.operation) in last), default=0.0)

    def install(self) -> None:
        """Puts it on the model."""
        for each in self._operations:
            each.install()
        replace_method(self.model, "call", self._call)

    def remove(self) -> None:
        """Takes it off again; the kernels keep the values that they have."""
        remove_from_method(self.model, "call", self._call)
        for each in self._operations:
            each.remove()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Puts it on for a while."""
        self.install()
        try:
            yield
        finally:
            self.remove()

    def calibrate(self, batches: Iterable[Any]) -> None:
        """Reads the ranges of activations from batches of input, computed in float."""
        if not self._operations:
            return
        with self.installed():
            for batch in batches:
                self._set(follows=True, quantizes=False)
                self.model(batch, training=False)
            self._set(follows=False, quantizes=True)

    def bake(self) -> None:
        """Writes the quantized values into the kernels."""
        for kernel in self.kernels:
            kernel.variable.assign(kernel.quantized())

    @contextlib.contextmanager
    def exported(self) -> Iterator[None]:
        """The baked model with constant ranges, as a converter can read them; only computes, not training.

        Projections of queries give what attention multiplies them to, so that nothing lies between two products.
        """
        operations = {id(each.operation): each for each in self._operations}
        found = {key: query_factor(each.operation) for key, each in operations.items()}
        queries = {key: query for key, query in found.items() if query is not None}
        factors = {id(projection): factor for projection, factor in queries.values()}
        self._frozen = Frozen(self.kernels, self._folds, list(queries.values()))
        bodies = self._frozen.bodies()
        for key, each in operations.items():
            each.freeze(factors.get(key, 1.0))
            each.body = bodies.get(key)
        try:
            with self.installed(), unscaled([operations[key].operation for key in queries]):
                yield
        finally:
            self._frozen = None
            for each in self._operations:
                each.body = None
                each.thaw()

    def _set(self, *, follows: bool, quantizes: bool) -> None:
        for each in self._operations:
            each.follows, each.quantizes = follows, quantizes

    def _call(self, own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        calibrating = any(not each.quantizes for each in self._operations)
        if not calibrating:
            self._set(follows=bool(kwargs.get("training")), quantizes=True)
        outer = _given_values(self.model)
        values = [] if calibrating else self._values({id(variable): value for variable, value in outer})
        with keras.StatelessScope([*outer, *values], collect_losses=True) as scope:
            outputs = own(*args, **kwargs)
        self._write_back(scope)
        return outputs

    def _values(self, given: Mapping[int, Any]) -> list[tuple[Any, Any]]:
        if self._frozen is not None:
            return self._frozen.values()
        return [(each.variable, each.quantized(given.get(id(each.variable)))) for each in self.kernels]

    def _write_back(self, scope: keras.StatelessScope) -> None:
        mapped = {id(kernel.variable) for kernel in self.kernels}
        for variable in self.model.variables:
            value = scope.get_current_value(variable)
            if value is not None and id(variable) not in mapped and self._frozen is None:
                variable.assign(value)
        for loss in scope.losses:
            self.model.add_loss(loss)


def _given_values(model: keras.Model) -> list[tuple[Any, Any]]:
    """The values that a `keras.StatelessScope` around the call gives the model's variables, such as a teacher's."""
    scope = get_stateless_scope()
    if scope is None:
        return []
    found = ((variable, scope.get_current_value(variable)) for variable in model.variables)
    return [(variable, value) for variable, value in found if value is not None]
