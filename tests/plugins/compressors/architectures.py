"""Thirty-four architectures, untrained, small where the family allows, with statistics that are not the initial ones.

Each function builds a model and takes no argument; `ARCHITECTURES` has them by name, `rows` gives input for one.
"""

import keras
import numpy as np

layers = keras.layers
CLASSES = 5
VOCABULARY = 50


def application(name, size, **options):
    """A network of keras.applications without its weights."""

    def build():
        network = getattr(keras.applications, name)(
            weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg", **options
        )
        return keras.Model(network.input, head(network.output), name=name.lower())

    return build


def head(features):
    return layers.Dense(CLASSES, activation="softmax", name="class")(features)


def mlp():
    return sequential((8,), layers.Dense(32, activation="relu"), layers.BatchNormalization(), layers.Dense(16))


def cnn():
    return sequential(
        (12, 12, 3),
        layers.Conv2D(16, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(24, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
    )


def separable():
    return sequential(
        (12, 12, 3),
        layers.SeparableConv2D(16, 3, activation="relu"),
        layers.DepthwiseConv2D(3, activation="relu"),
        layers.Conv2D(16, 1, activation="relu"),
        layers.GlobalAveragePooling2D(),
    )


def volumes():
    return sequential((6, 6, 6, 1), layers.Conv3D(8, 3, activation="relu"), layers.GlobalAveragePooling3D())


def text_cnn():
    return words(layers.Conv1D(16, 3, activation="relu"), layers.GlobalMaxPooling1D())


def unet():
    image = keras.Input((16, 16, 1))
    down = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    deep = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
    up = layers.Conv2DTranspose(8, 2, strides=2, activation="relu")(deep)
    both = layers.Concatenate()([down, up])
    return keras.Model(image, layers.Conv2D(2, 1, activation="sigmoid")(both), name="unet")


def squeeze_and_excite():
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(16, 3, activation="relu")(image)
    gate = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Reshape((1, 1, 16))(layers.Dense(16, activation="sigmoid")(gate))
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))), name="excite")


def lstm():
    return sequential((10, 4), layers.LSTM(16))


def gru():
    return sequential((10, 4), layers.GRU(16))


def simple_rnn():
    return sequential((10, 4), layers.SimpleRNN(16))


def stacked_lstm():
    return sequential((10, 4), layers.LSTM(16, return_sequences=True), layers.LSTM(12))


def bidirectional():
    return sequential((10, 4), layers.Bidirectional(layers.LSTM(12)))


def masked_lstm():
    return words(layers.LSTM(12), mask_zero=True)


def transformer():
    tokens = keras.Input((10,), dtype="int32")
    x = layers.Embedding(VOCABULARY, 16)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    hidden = layers.Dense(32, activation="gelu")(x)
    x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(16)(hidden)]))
    return keras.Model(tokens, head(layers.GlobalAveragePooling1D()(x)), name="transformer")


def grouped_attention():
    series = keras.Input((10, 16))
    x = layers.GroupQueryAttention(8, 4, 2)(series, series)
    return keras.Model(series, head(layers.GlobalAveragePooling1D()(x)), name="grouped_attention")


def several_inputs():
    left, right = keras.Input((6,), name="left"), keras.Input((4,), name="right")
    both = layers.Concatenate()([layers.Dense(16, activation="relu")(left), layers.Dense(8, activation="relu")(right)])
    return keras.Model([left, right], head(layers.Dense(16, activation="relu")(both)), name="several_inputs")


def several_outputs():
    row = keras.Input((8,))
    hidden = layers.Dense(24, activation="relu")(row)
    return keras.Model(row, {"kind": head(hidden), "amount": layers.Dense(1)(hidden)}, name="several_outputs")


def shared_layers():
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    encoder = layers.Dense(16, activation="relu", name="encoder")
    return keras.Model([left, right], head(layers.Subtract()([encoder(left), encoder(right)])), name="siamese")


def nested():
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(24, activation="relu"), layers.Dense(12)], name="inner")
    row = keras.Input((8,))
    return keras.Model(row, head(layers.ReLU()(inner(row))), name="nested")


def embeddings():
    kind, amount = keras.Input((1,), dtype="int32", name="kind"), keras.Input((4,), name="amount")
    flat = layers.Flatten()(layers.Embedding(VOCABULARY, 8)(kind))
    hidden = layers.Dense(16, activation="relu")(layers.Concatenate()([flat, amount]))
    return keras.Model([kind, amount], head(hidden), name="embeddings")


def operators():
    row = keras.Input((8,))
    x = layers.Dense(16)(row)
    x = keras.ops.tanh(x) * 2.0 + keras.ops.sigmoid(layers.Dense(16)(row))
    return keras.Model(row, head(x), name="operators")


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = layers.Dense(16, activation="relu")
        self.out = layers.Dense(CLASSES, activation="softmax")

    def call(self, x):
        return self.out(self.hidden(x))

    def build(self, shape):
        self.hidden.build(shape)
        self.out.build((*shape[:-1], 16))
        self.built = True


def subclassed():
    model = Subclassed(name="subclassed")
    model(np.zeros((1, 8), "float32"))
    return model


def sequential(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts, layers.Dense(CLASSES, activation="softmax", name="class")])


def words(*parts, mask_zero=False):
    tokens = keras.Input((10,), dtype="int32")
    x = layers.Embedding(VOCABULARY, 12, mask_zero=mask_zero)(tokens)
    for part in parts:
        x = part(x)
    return keras.Model(tokens, head(x), name="words")


SMALL = (
    mlp,
    cnn,
    separable,
    volumes,
    text_cnn,
    unet,
    squeeze_and_excite,
    lstm,
    gru,
    simple_rnn,
    stacked_lstm,
    bidirectional,
    masked_lstm,
    transformer,
    grouped_attention,
    several_inputs,
    several_outputs,
    shared_layers,
    nested,
    embeddings,
    operators,
    subclassed,
)
APPLICATIONS = {
    "MobileNet": application("MobileNet", 32, alpha=0.25),
    "MobileNetV2": application("MobileNetV2", 32, alpha=0.35),
    "MobileNetV3Small": application("MobileNetV3Small", 32),
    "EfficientNetB0": application("EfficientNetB0", 32),
    "EfficientNetV2B0": application("EfficientNetV2B0", 32),
    "ResNet50": application("ResNet50", 32),
    "ResNet50V2": application("ResNet50V2", 32),
    "DenseNet121": application("DenseNet121", 32),
    "Xception": application("Xception", 71),
    "VGG16": application("VGG16", 32),
    "NASNetMobile": application("NASNetMobile", 32),
    "ConvNeXtTiny": application("ConvNeXtTiny", 32),
}
ARCHITECTURES = {each.__name__: each for each in SMALL} | APPLICATIONS


def built(name, seed=0):
    """A model with random BatchNormalization statistics, compiled."""
    keras.utils.set_random_seed(seed)
    model = ARCHITECTURES[name]()
    random = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for variable, low, high in ((layer.gamma, 0.5, 1.5), (layer.beta, -0.3, 0.3)):
                if variable is not None:
                    variable.assign(random.uniform(low, high, variable.shape))
            layer.moving_mean.assign(random.uniform(-0.3, 0.3, layer.moving_mean.shape))
            layer.moving_variance.assign(random.uniform(0.5, 1.5, layer.moving_variance.shape))
    model.compile(keras.optimizers.Adam(1e-4), loss_of(model))
    return model


def loss_of(model):
    return {"kind": "sparse_categorical_crossentropy", "amount": "mse"} if model.name == "several_outputs" else "mse"


def rows(model, count=32, seed=0):
    """(x, y) as the model takes and gives them."""
    random = np.random.default_rng(seed)

    def array(tensor):
        shape = (count, *tensor.shape[1:])
        if str(tensor.dtype).startswith("int"):
            return random.integers(1, VOCABULARY, shape).astype("int32")
        return random.normal(size=shape).astype("float32")

    if model.name == "subclassed":
        x = random.normal(size=(count, 8)).astype("float32")
    else:
        x = keras.tree.map_structure(array, model.inputs[0] if len(model.inputs) == 1 else model.input)
    y = keras.tree.map_structure(np.asarray, model(x, training=False))
    if model.name == "several_outputs":
        y = {**y, "kind": y["kind"].argmax(-1)}
    return x, y
