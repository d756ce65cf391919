"""The strategy that spreads the layers of one model over devices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.distribute.distribute_lib import UpdateContext
from tensorflow.python.distribute.one_device_strategy import OneDeviceExtended

from tfkit.attach.methods import wrap_method
from tfkit.attach.replicas.keras_repairs import models_made, repair_keras
from tfkit.graph import flattened, has_graph
from tfkit.models import require_built
from tfkit.progress import say
from tfkit_strategies.devices import device_names
from tfkit_strategies.placement.stages import stages

# Models are built here, where there is room for what is too large for one device.
_HOST = "/device:CPU:0"


class LayerPlacement(tf.distribute.Strategy):
    """Puts runs of layers on devices in their order (model parallelism), for a model too large for one of them.

    Build the model in the `scope()`: at its end the weights of each layer go to their device, and from then on the
    layer computes there, forward and backward, with the optimizer's slots beside its weights. The runs are such that
    the largest is as small as it can be. One batch is in one device at a time: this makes room, not speed. A model
    that is cloned or loaded outside a scope is not spread.

    Args:
        devices: The devices in the order of the layers.
        balance: What is as equal as can be: "bytes" of weights, or "flops".

    Raises:
        DeviceNotFound: A device does not exist.
        ParameterError: A device comes twice.
        ModelError: At the end of the scope: a model is not built, or is a subclassed model, whose layers' order Keras
            does not know.

    Example:
        >>> strategy = LayerPlacement(devices=["CPU:0"])
        >>> with strategy.scope():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> strategy.device_of(model.layers[0])
        '/device:CPU:0'
    """

    def __init__(self, *, devices: Sequence[str], balance: str = "bytes") -> None:
        self.devices = device_names(devices, "strategy 'layer-placement'")
        self.balance = balance
        self._places: dict[int, tuple[Any, int]] = {}
        super().__init__(_Extended(self, self.devices))
        repair_keras()

    def device_of(self, operation: Any) -> str | None:
        """The device of a layer, or other operation, of a model that was built in the scope; None for others."""
        found = self._places.get(id(operation))
        return None if found is None else self.devices[found[1]]

    @contextlib.contextmanager
    def scope(self) -> Iterator[LayerPlacement]:
        """As a strategy's scope; at its end the models that were built in it are spread over the devices."""
        with super().scope(), models_made() as made:
            yield self
            for model in _largest_first(made):
                self._place(model)

    def _place(self, model: keras.Model) -> None:
        if all(self.device_of(each) for each in _with_weights(model)):
            return
        found = stages(model, len(self.devices), self.balance)
        for number, operations in enumerate(found):
            for each in operations:
                self._places[id(each)] = (each, number)  # which keeps it, and so its id
                self._move(each, number)
        _move_slots(self, model)
        say(f"layer-placement: {'; '.join(_told(*each) for each in zip(self.devices, found))}")

    def _move(self, operation: Any, number: int) -> None:
        device = self.devices[number]
        for each in getattr(operation, "weights", ()):
            self.move(each, device)

        def call(method: Any, *args: Any, **kwargs: Any) -> Any:
            with tf.device(device):
                args, kwargs = keras.tree.map_structure(self.extended.brought, (args, kwargs))
                return method(*args, **kwargs)

        wrap_method(operation, "call", call)

    def move(self, variable: Any, device: str) -> None:
        """Puts a Keras variable on a device."""
        value = variable.value
        with self.extended.creating_on(device):
            variable._value = tf.Variable(
                value, dtype=value.dtype, trainable=value.trainable, name=variable.name, aggregation=value.aggregation
            )


class _Extended(OneDeviceExtended):
    """One replica whose variables, and what is done with them, are on several devices."""

    def __init__(self, strategy: LayerPlacement, devices: Sequence[str]) -> None:
        super().__init__(strategy, devices[0])
        self._stages = {device: number for number, device in enumerate(devices)}
        self._creates_on = _HOST

    @contextlib.contextmanager
    def creating_on(self, device: str) -> Iterator[None]:
        """Within it variables are created on a device."""
        self._creates_on = device
        try:
            with self._container_strategy_weakref().scope():
                yield
        finally:
            self._creates_on = _HOST

    def brought(self, value: Any) -> Any:
        """A tensor of another device on the device that is set, where also its gradient begins."""
        if tf.executing_eagerly() or not isinstance(value, tf.Tensor) or not value.op.device:
            return value
        here = tf.identity(value)
        mask = getattr(value, "_keras_mask", None)
        if mask is not None:
            here._keras_mask = mask
        return here

    def _create_variable(self, next_creator: Any, **kwargs: Any) -> Any:
        beside = kwargs.pop("colocate_with", None)
        with tf.device(getattr(beside, "device", None) or self._creates_on):
            return next_creator(**kwargs)

    def _validate_colocate_with_variable(self, colocate_with_variable: Any) -> None:
        """Any variable will do."""

    def _call_for_each_replica(self, fn: Any, args: Any, kwargs: Any) -> Any:
        if tf.executing_eagerly():
            return super()._call_for_each_replica(fn, args, kwargs)
        # Within the device that is set there, the device of what an operation reads.
        return super()._call_for_each_replica(self._following, (fn, args, kwargs), {})

    def _following(self, fn: Any, args: Any, kwargs: Any) -> Any:
        with tf.device(None), tf.compat.v1.device(self._device_of):
            return fn(*args, **kwargs)

    def _device_of(self, operation: tf.Operation) -> str:
        """The earliest of the devices that an operation reads from: that of its layer, for the gradient of one."""
        if operation.device:
            return operation.device
        found = [number for each in operation.inputs if (number := self._stage(each.op.device)) is not None]
        return min(found, default=(len(self._stages), ""))[1] if found else ""

    def _stage(self, device: str) -> tuple[int, str] | None:
        spec = tf.DeviceSpec.from_string(device)
        number = self._stages.get(f"/device:{spec.device_type}:{spec.device_index}")
        return None if number is None else (number, device)

    def _update_non_slot(self, colocate_with: Any, fn: Any, args: Any, kwargs: Any, group: bool) -> Any:
        device = args[0].device if args and isinstance(args[0], tf.Variable) else self._device
        with tf.device(device), UpdateContext(device):
            result = fn(*args, **kwargs)
        return result if group else tf.nest.map_structure(self._local_results, result)


def _largest_first(models: Sequence[keras.Model]) -> list[keras.Model]:
    """The models of a scope; nested ones and parts of others come after those that hold them."""
    for model in models:
        require_built(model)
    return sorted(models, key=lambda each: len(flattened(each).calls) if has_graph(each) else 0, reverse=True)


def _with_weights(model: keras.Model) -> list[Any]:
    calls = flattened(model).calls if has_graph(model) else ()
    return [call.operation for call in calls if getattr(call.operation, "weights", ())]


def _move_slots(strategy: LayerPlacement, model: keras.Model) -> None:
    """Has an optimizer that was built in the scope find the variables again, and puts its slots beside them."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return
    known = optimizer._trainable_variables
    optimizer._trainable_variables_indices = {optimizer._var_key(each): at for at, each in enumerate(known)}
    devices = {each.path.replace("/", "_"): each.value.device for each in known}
    for slot in optimizer.variables:
        beside = max((name for name in devices if slot.name.startswith(f"{name}_")), key=len, default=None)
        if beside is not None:
            strategy.move(slot, devices[beside])


def _told(device: str, operations: Sequence[Any]) -> str:
    held = [each for each in operations if getattr(each, "weights", ())]
    size = sum(each.value.dtype.size * each.value.shape.num_elements() for one in held for each in one.weights)
    names = f"{held[0].name} to {held[-1].name}" if len(held) > 1 else "".join(each.name for each in held)
    return f"{device[8:]} holds {names or 'nothing'}, {size:,} bytes"
