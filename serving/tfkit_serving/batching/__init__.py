"""Micro-batching: requests that come while a call runs share the next one."""

from tfkit_serving.batching.batcher import Batcher, Call
from tfkit_serving.batching.options import BatchingOptions, batching_of_version

__all__ = ["Batcher", "BatchingOptions", "Call", "batching_of_version"]
