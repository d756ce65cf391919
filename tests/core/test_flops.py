"""Operations of one row, against TensorFlow's own profiler and closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import tfkit
from tfkit.flops import flops


def profiled(model):
    """The float operations of matrix products and convolutions in the frozen graph, counted by TensorFlow."""
    specs = [tf.TensorSpec((1, *each.shape[1:]), each.dtype) for each in model.inputs]
    function = tf.function(lambda *inputs: model(list(inputs) if len(inputs) > 1 else inputs[0]))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(*specs))
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph.as_graph_def(), name="")
        found = tf.compat.v1.profiler.profile(graph, options=options)
        products = ("MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3D")
        kinds = {each.name: each.type for each in graph.get_operations()}

    def total(node):
        own = node.float_ops if kinds.get(node.name) in products else 0
        return own + sum(total(child) for child in node.children)

    return total(found)


def convolutions():
    image = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3, strides=2)(image)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = layers.SeparableConv2D(6, 3)(x)
    inner = keras.Sequential([keras.Input((2, 2, 6)), layers.Conv2D(5, 2, padding="same")])
    x = layers.BatchNormalization()(inner(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x))


def products():
    rows = keras.Input((6, 8))
    x = layers.Dense(5)(rows)
    x = keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1)))
    return keras.Model(rows, layers.EinsumDense("abc,cde->abde", (None, 2, 3))(x))


@pytest.mark.parametrize("make", [convolutions, products])
def test_it_counts_what_tensorflow_counts(make):
    model = make()
    assert flops(model) == profiled(model)


CLOSED = {
    "lstm": (layers.LSTM(4), (7, 3), 7 * 4 * 4 * (3 + 4)),
    "gru": (layers.GRU(4), (7, 3), 7 * 3 * 4 * (3 + 4)),
    "both ways": (layers.Bidirectional(layers.SimpleRNN(4)), (7, 3), 2 * 7 * 4 * (3 + 4)),
    "in time": (layers.TimeDistributed(layers.Conv2D(2, 3)), (5, 6, 6, 1), 5 * 4 * 4 * 9 * 2),
    "transposed": (layers.Conv2DTranspose(2, 3, strides=2), (4, 4, 3), 4 * 4 * 9 * 3 * 2),
    "three axes": (layers.Conv3D(2, 2), (3, 3, 3, 4), 8 * 8 * 4 * 2),
    "grouped": (layers.Conv2D(8, 1, groups=4), (2, 2, 8), 4 * 2 * 8),
    "normalization": (layers.LayerNormalization(axis=(1, 2)), (4, 4), 0),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    layer, shape, macs = CLOSED[name]
    assert flops(keras.Sequential([keras.Input(shape), layer])) == 2 * macs


def test_attention_of_two_lengths():
    query, value = keras.Input((5, 8)), keras.Input((7, 6))
    model = keras.Model([query, value], layers.MultiHeadAttention(2, 3, value_dim=4)(query, value))
    projections = 5 * 8 * 2 * 3 + 7 * 6 * 2 * 3 + 7 * 6 * 2 * 4 + 5 * 2 * 4 * 8
    assert flops(model) == 2 * (projections + 5 * 7 * 2 * (3 + 4))


def test_attention_is_read_by_the_names_of_its_arguments():
    query, value, mask = keras.Input((5, 8)), keras.Input((7, 6)), keras.Input((5, 7), dtype="bool")
    layer = layers.MultiHeadAttention(2, 3, value_dim=4)
    named = layer(value=value, attention_mask=mask, query=query)
    plain = keras.Model([query, value], layers.MultiHeadAttention(2, 3, value_dim=4)(query, value))
    assert flops(keras.Model([query, value, mask], named)) == flops(plain)


def merged(call, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, call(*inputs))


PRODUCTS = {
    "einsum": (lambda x, y: keras.ops.einsum("bij,bkj->bik", x, y), [(5, 8), (7, 8)], 5 * 8 * 7),
    "einsum of dots": (
        lambda x, y: keras.ops.einsum("...ij,...jk->...ik", x, y),
        [(3, 5, 8), (3, 8, 7)],
        3 * 5 * 8 * 7,
    ),
    "einsum by a constant": (lambda x: keras.ops.einsum("bij,jk->bik", x, np.ones((8, 2))), [(5, 8)], 5 * 8 * 2),
    "a sum": (lambda x: keras.ops.einsum("bij->bi", x), [(5, 8)], 0),
    "a constant from the left": (lambda x: keras.ops.matmul(np.ones((2, 5)), x), [(5, 8)], 2 * 5 * 8),
    "dot": (lambda x: keras.ops.dot(x, np.ones((8, 3))), [(5, 8)], 5 * 8 * 3),
    "tensordot": (lambda x: keras.ops.tensordot(x, np.ones((5, 8, 3)), 2), [(4, 5, 8)], 4 * 5 * 8 * 3),
    "tensordot of axes": (lambda x: keras.ops.tensordot(x, np.ones((3, 5)), [[1], [1]]), [(5, 8)], 8 * 5 * 3),
    "the layer": (lambda x, y: layers.Dot((2, 1))([x, y]), [(5, 8), (8, 3)], 5 * 8 * 3),
    "the layer of rows": (lambda x, y: layers.Dot(1)([x, y]), [(8,), (8,)], 8),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_tensors(name):
    call, shapes, macs = PRODUCTS[name]
    assert flops(merged(call, *shapes)) == 2 * macs


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x: keras.ops.einsum("bij,bkj,bkl->bil", x, x, x), r"\(Einsum\) of 3 operands"),
        (lambda x: keras.ops.conv(x, np.ones((2, 8, 3))), r"\(Conv\), which multiplies matrices"),
        (lambda x: keras.ops.tensordot(x, x, [[0], [0]]), r"\(Tensordot\) depend on a length that varies"),
        (lambda x: keras.ops.einsum("bij,bkj->ik", x, x), r"\(Einsum\) depend on a length that varies"),
    ],
)
def test_products_that_it_cannot_count_are_refused_by_name(call, match):
    with pytest.raises(tfkit.ModelError, match=match):
        flops(merged(call, (5, 8)))


def test_a_product_along_an_open_length_is_refused():
    x = keras.Input((None, 8))
    model = keras.Model(x, keras.ops.einsum("bij,jk->bik", x, np.ones((8, 2))))
    with pytest.raises(tfkit.ModelError, match=r"\(Einsum\) depend on a length that varies: its input is \(None, 8\)"):
        flops(model)


def test_attention_of_groups_of_heads():
    series = keras.Input((5, 8))
    model = keras.Model(series, layers.GroupQueryAttention(3, 4, 2)(series, series))
    projections = 5 * 8 * 4 * 3 + 2 * (5 * 8 * 2 * 3) + 5 * 4 * 3 * 8
    assert flops(model) == 2 * (projections + 2 * 5 * 5 * 4 * 3)


def test_what_it_cannot_count_is_refused_by_name():
    open_length = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4, name="memory")])
    with pytest.raises(tfkit.ModelError, match=r"'memory' \(LSTM\) depend on a length that varies"):
        flops(open_length)

    class Own(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 2))

        def call(self, x):
            return x @ self.kernel

    with pytest.raises(tfkit.ModelError, match=r"no count of operations for 'mine' \(Own\), which has kernels"):
        flops(keras.Sequential([keras.Input((3,)), Own(name="mine")]))

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    model = Subclassed(name="hidden")
    model(np.zeros((1, 2)))
    with pytest.raises(tfkit.ModelError, match="'hidden' is a subclassed model"):
        flops(model)
