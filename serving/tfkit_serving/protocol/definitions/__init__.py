"""The messages of TensorFlow and TensorFlow Serving that serving takes, a file a concern: names, types and numbers.

A line `TYPE NAME = NUMBER` is a field, `repeated` and `optional` as in a .proto file; `oneof NAME` at its end puts it
into a oneof. What is indented below a `message` belongs to it.
"""

from tfkit_serving.protocol.definitions import (
    apis,
    configuration,
    error,
    example,
    health,
    log,
    management,
    profiling,
    signature,
    tensor,
)

# In the order in which they stand on one another.
FILES = (error, tensor, example, signature, apis, configuration, management, log, health, profiling)
