"""A gRPC client connection of its own, sending serialized messages."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

import grpc

from tfkit_serving.bench.loops import ClosedLoop, OpenLoop
from tfkit_serving.bench.plan import Plan

_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))


class GrpcConnection:
    """Sends unary calls one after another."""

    def __init__(self, plan: Plan, loop: ClosedLoop | OpenLoop) -> None:
        self._plan, self._loop, self._record = plan, loop, loop.record
        address = f"{plan.host}:{plan.port}"
        self._channel = (
            grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(), _OWN_CONNECTION)
            if plan.tls
            else grpc.aio.insecure_channel(address, _OWN_CONNECTION)
        )
        self._call = self._channel.unary_unary(plan.path)
        self._metadata = tuple((name.lower(), value) for name, value in plan.headers) or None
        self._task: asyncio.Task[None] | None = None
        self.busy = False

    async def connect(self) -> None:
        """Connects; a server that is not there shows as failed calls."""
        try:
            await asyncio.wait_for(self._channel.channel_ready(), self._plan.timeout)
        except asyncio.TimeoutError:
            self._record.error(perf_counter_ns(), "cannot connect")
            return
        self._loop.free(self)

    def send(self, body: bytes, due: int) -> None:
        """Begins a call."""
        self.busy = True
        self._task = asyncio.get_running_loop().create_task(self._answer(body, due))

    def expire(self, now: int) -> None:
        """Nothing: a call has its own deadline."""

    async def close(self) -> None:
        """Ends the call that is under way, and closes."""
        await self._channel.close()

    async def _answer(self, body: bytes, due: int) -> None:
        try:
            await self._call(body, timeout=self._plan.timeout, metadata=self._metadata)
            self._record.answer(due, perf_counter_ns())
        except grpc.aio.AioRpcError as error:
            self._record.error(due, f"{error.code().name}: {(error.details() or '')[:160]}")
            await asyncio.sleep(0)
        self.busy = False
        self._loop.free(self)
