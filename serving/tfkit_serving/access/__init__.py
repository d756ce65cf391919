"""Who may call the gateway and the server: API keys in a file, each with its rate and the names that it opens."""

from tfkit_serving.access.gate import Gate, Refused
from tfkit_serving.access.keys import Key, KeyRing
from tfkit_serving.access.keys_file import read_keys

__all__ = ["Gate", "Key", "KeyRing", "Refused", "read_keys"]
