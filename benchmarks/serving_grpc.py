"""What gRPC of the embedded server costs beside a bare grpc.aio server that calls the same model with no checks.

python benchmarks/serving_grpc.py [--rounds 5] [--seconds 2]

Both run in one process and take turns; the load comes from another. Prints requests a second of the bare server as a
ratio to ours, for one client and for 32.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it tells each child that is started

import grpc
import numpy as np

from tfkit_serving.configuration.model_config import ModelConfig
from tfkit_serving.protocol.messages import PredictRequest, PredictResponse
from tfkit_serving.protocol.tensors import to_proto
from tfkit_serving.rpc.server import create_grpc_server
from tfkit_serving.servables.core import ServerCore
from tfkit_serving.servables.requests import ModelSpec

MODEL = Path(__file__).parents[1] / "tests" / "serving" / "recorded" / "models" / "mlp"
SERVICE, METHOD, INPUT = "tensorflow.serving.PredictionService", "Predict", "keras_tensor"


def bare_server(servable):
    """The least that a Predict can be: no name, dtype or shape is looked at."""

    async def predict(request, _):
        row = np.array(request.inputs[INPUT].float_val, np.float32).reshape(1, 32)
        outputs = await servable.run("serving_default", {INPUT: row})
        response = PredictResponse()
        for name, values in outputs.items():
            tensor = response.outputs[name]
            tensor.dtype = 1
            tensor.float_val.extend(values.ravel().tolist())
            for size in values.shape:
                tensor.tensor_shape.dim.add(size=size)
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        predict,
        request_deserializer=PredictRequest.FromString,
        response_serializer=PredictResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    return server, server.add_insecure_port("127.0.0.1:0")


async def load(port, clients, seconds):
    """Requests a second of so many clients, each of which asks again when it is answered."""
    request = PredictRequest(model_spec={"name": "mlp"})
    request.inputs[INPUT].CopyFrom(to_proto(np.ones((1, 32), np.float32)))
    wire, answered, stop = request.SerializeToString(), [0], time.perf_counter() + seconds

    async def ask(call):
        while time.perf_counter() < stop:
            await call(wire)
            answered[0] += 1

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.gather(*(ask(channel.unary_unary(f"/{SERVICE}/{METHOD}")) for _ in range(clients)))
    return answered[0] / seconds


async def measured(port, clients, seconds):
    command = [sys.executable, __file__, "--load", str(port), str(clients), str(seconds)]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    return json.loads((await child.communicate())[0])


async def compare(rounds, seconds):
    core = ServerCore()
    core.start()
    await core.serve([ModelConfig("mlp", MODEL)])
    ours, port = create_grpc_server(core, "127.0.0.1:0")
    bare, bare_port = bare_server(core.servable(ModelSpec("mlp")))
    await ours.start()
    await bare.start()
    try:
        for clients in (1, 32):
            pairs = [
                (await measured(port, clients, seconds), await measured(bare_port, clients, seconds))
                for _ in range(rounds)
            ]
            mine, theirs = (statistics.median(each) for each in zip(*pairs))
            print(f"{clients:2} clients: ours {mine:.0f}/s, bare {theirs:.0f}/s, bare / ours {theirs / mine:.2f}")
    finally:
        await ours.stop(0)
        await bare.stop(0)
        await core.close(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        port, clients, seconds = options.load
        print(asyncio.run(load(int(port), int(clients), float(seconds))))
        return
    try:
        import uvloop
    except ImportError:
        asyncio.run(compare(options.rounds, options.seconds))
    else:
        uvloop.run(compare(options.rounds, options.seconds))


if __name__ == "__main__":
    main()
