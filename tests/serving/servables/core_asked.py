"""Ways to ask a core, and its models: x/2+2 (hp2) and x/2+3 (hp3)."""

import asyncio
import time

import numpy as np
from google.protobuf import text_format

from tfkit_serving.protocol.messages import ModelServerConfig
from tfkit_serving.servables.core import CoreOptions
from tfkit_serving.servables.process import ProcessOptions
from tfkit_serving.servables.requests import ModelSpec

TWO, THREE = "hp2/00000123", "hp3/00000123"
FAST = CoreOptions(poll_seconds=0.05, retries=1, retry_seconds=0.2, process=ProcessOptions(run_seconds=1.0))


async def asked(core, name="m", version=None, label=None, x=1.0):
    servable = core.servable(ModelSpec(name, version, label))
    outputs = await servable.run("serving_default", {"x": np.array([x], np.float32)})
    return outputs["y"].item()


async def eventually(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def states(core, name="m"):
    return {each.version: each.state for each in core.status(name)}


def config(text):
    return text_format.Parse(text, ModelServerConfig())


def model(name, path, rest=""):
    return f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" {rest} }}'


def _specific(version):
    return f"model_version_policy {{ specific {{ versions: {version} }} }}"
