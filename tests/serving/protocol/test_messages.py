"""Messages and tensors against TensorFlow's and TensorFlow Serving's own: same bytes, same values."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pool, text_format
from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import model_service_pb2, prediction_log_pb2, prediction_service_pb2

from tfkit_serving.protocol import messages
from tfkit_serving.protocol.dtypes import enum_name, numpy_dtype, type_name, type_number
from tfkit_serving.protocol.pool import CLASSES
from tfkit_serving.protocol.tensors import to_array, to_proto

THEIRS = (model_service_pb2, prediction_log_pb2, prediction_service_pb2)
# In no package that is installed: they belong to the sources of the server and of the profiler, and to health checks.
ABSENT = {"BatchingParameters", "HealthCheckRequest", "HealthCheckResponse", "MonitoringConfig", "PrometheusConfig"}
ABSENT |= {"SSLConfig", "ProfileRequest", "ProfileResponse", "ProfileToolData"}
DTYPES = [
    tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16,
    tf.uint32, tf.uint64, tf.bool, tf.complex64, tf.complex128, tf.dtypes.experimental.float8_e5m2,
]  # fmt: skip


# Where kernels say it in another way than Python.
KERNELS = {"float32": "float", "float64": "double", "float16": "half"}


def fields(descriptor):
    """What decides how a message lies on the wire and how its fields are called."""
    found = {}
    for field in descriptor.fields:
        oneof = field.containing_oneof and field.containing_oneof.name
        held = field.message_type and field.message_type.full_name
        found[field.name] = (field.number, field.type, field.is_repeated, field.has_presence, oneof, held)
    return found


def enum_numbers(field):
    return {each.name: each.number for each in field.enum_type.values}


def assert_same(ours, theirs):
    assert theirs.GetOptions().map_entry == ours.GetOptions().map_entry
    their_fields = fields(theirs)
    for name, form in fields(ours).items():
        assert form == their_fields[name], f"{ours.full_name}.{name}"
        if ours.fields_by_name[name].enum_type:
            their_numbers = enum_numbers(theirs.fields_by_name[name])
            assert enum_numbers(ours.fields_by_name[name]).items() <= their_numbers.items()
    for nested in ours.nested_types:
        assert_same(nested, theirs.nested_types_by_name[nested.name])


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - ABSENT))
def test_messages_are_as_theirs(name):
    ours = CLASSES[name].DESCRIPTOR
    assert_same(ours, descriptor_pool.Default().FindMessageTypeByName(ours.full_name))


def test_requests_are_whole():
    """No field of a request is unknown here, but for those that choose how a response is streamed."""
    for name in ("ModelSpec", "InferenceTask", "GetModelMetadataRequest", "SignatureDef", "TensorShapeProto"):
        theirs = descriptor_pool.Default().FindMessageTypeByName(CLASSES[name].DESCRIPTOR.full_name)
        assert fields(CLASSES[name].DESCRIPTOR).keys() == fields(theirs).keys()


def test_an_unknown_message():
    with pytest.raises(AttributeError, match=r"no message 'Nosuch'; there are .*PredictRequest"):
        _ = messages.Nosuch


def test_any_is_kept_in_text_form():
    config = messages.ModelServerConfig()
    text_format.Parse('custom_model_config { type_url: "a/b" value: "c" }', config)
    assert config.custom_model_config.type_url == "a/b"


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 4), (70, 2)])
def test_tensors_are_as_theirs(dtype, shape):
    values = np.random.default_rng(0).integers(0, 2 if dtype == tf.bool else 100, shape)
    array = np.asarray(values).astype(dtype.as_numpy_dtype)
    if dtype.is_complex:
        array = np.asarray(array * (1 + 2j), array.dtype)
    ours = to_proto(array)
    theirs = TensorProto.FromString(ours.SerializeToString())
    assert theirs.dtype == dtype.as_datatype_enum
    assert not theirs.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(theirs), array)
    for written in (tf.make_tensor_proto(array, dtype), theirs):
        read = to_array(messages.TensorProto.FromString(written.SerializeToString()))
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_strings_are_as_theirs():
    array = np.array([[b"a", b""], ["é".encode(), b"\xff\0"]], object)
    theirs = TensorProto.FromString(to_proto(array).SerializeToString())
    assert tf.make_ndarray(theirs).tolist() == array.tolist()
    written = tf.make_tensor_proto(array, tf.string, (2, 2)).SerializeToString()
    assert to_array(messages.TensorProto.FromString(written)).tolist() == array.tolist()


@pytest.mark.parametrize(("values", "size"), [([1.5, 2.5], 4), ([], 3), ([1.0, 2.0, 3.0], 2)])
def test_fewer_and_more_values_as_in_the_kernel(values, size):
    """A constant's tensor is read by TensorFlow's own Tensor::FromProto, as the real server reads a request's."""
    proto = messages.TensorProto(dtype=1, float_val=values, tensor_shape={"dim": [{"size": size}]})
    graph = tf.Graph()
    with graph.as_default():
        node = graph.as_graph_def().node.add(op="Const", name="c")
        node.attr["dtype"].type = 1
        node.attr["value"].tensor.ParseFromString(proto.SerializeToString())
        definition = tf.compat.v1.GraphDef(node=[node], versions=graph.as_graph_def().versions)
        (constant,) = tf.import_graph_def(definition, return_elements=["c:0"], name="")
        with tf.compat.v1.Session(graph=graph) as session:
            expected = session.run(constant)
    np.testing.assert_array_equal(to_array(proto), expected)


def test_names_and_numbers_of_dtypes():
    for dtype in [*DTYPES, tf.string, tf.resource, tf.qint8]:
        number = dtype.as_datatype_enum
        assert type_name(number) == KERNELS.get(dtype.name, dtype.name)
        assert enum_name(number) == types_pb2.DataType.Name(number)
    for dtype in [*DTYPES, tf.string]:
        assert numpy_dtype(dtype.as_datatype_enum) == np.dtype(dtype.as_numpy_dtype)
        assert type_number(dtype.as_numpy_dtype) == dtype.as_datatype_enum
