"""Requests and responses of TensorFlow's ProfilerService, as far as they are looked at."""

PACKAGE = "tensorflow"
TEXT = """
message ProfileRequest
  uint64 duration_ms = 1
message ProfileToolData
  string name = 1
  bytes data = 2
message ProfileResponse
  repeated ProfileToolData tool_data = 6
  bool empty_trace = 7
"""
