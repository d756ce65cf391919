"""Offloading: requests that would hold the event loop for long are read and answered by processes of their own."""

from tfkit_serving.offload.bounds import ANY, ON_THE_LOOP, Bounds, TooLong
from tfkit_serving.offload.pinned import Pinned
from tfkit_serving.offload.pool import Offload
from tfkit_serving.offload.worker import Answered

__all__ = ["ANY", "ON_THE_LOOP", "Answered", "Bounds", "Offload", "Pinned", "TooLong"]
