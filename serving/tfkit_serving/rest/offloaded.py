"""OffloadedCalls: requests that are too long for the event loop, answered by a worker as the calls here would."""

from __future__ import annotations

from tfkit_serving.monitoring.metrics import METRICS
from tfkit_serving.offload import Offload, TooLong
from tfkit_serving.offload.carried import carried_spec, text_of
from tfkit_serving.rest.calls import Record
from tfkit_serving.rest.routes import Call


class OffloadedCalls:
    """The calls, by workers.

    Args:
        offload: the workers.
        max_depth: how deep a body's lists and objects may lie in each other.
    """

    def __init__(self, offload: Offload, max_depth: int) -> None:
        self._offload, self._max_depth = offload, max_depth

    async def answer(self, call: Call, body: bytes, record: Record, long: TooLong) -> memoryview:
        """The body of the answer to a call; `record` is filled in.

        Raises:
            ServingError: as by the calls themselves, or the worker died.
        """
        request = {
            "kind": "rest",
            "action": call.action,
            "model": carried_spec(call.model),
            "max_depth": self._max_depth,
        }
        answered = await self._offload.answer(request, body, long)
        told = answered.told
        record.version, record.signature, record.rows = told["version"], text_of(told["signature"]), told["rows"]
        if answered.error is not None:
            raise answered.error
        if answered.seconds is not None:
            METRICS.observe_runtime(call.model.name, call.action.capitalize(), "TF1", answered.seconds * 1e6)
        return answered.body
