"""What qat refuses, by name."""

import keras
import numpy as np
import pytest
from keras import layers
from qat_models import dense

import tfkit
from tfkit_compressors.qat.qat import QuantizationAwareTraining as Qat
from tfkit_compressors.qat.weights import chosen
from tfkit_compressors.schemas import Qat as Settings


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"bits": 5}, "'bits' of compressor 'qat' must be 4 or 8; got 5"),
        ({"activations": 4}, "'activations' of compressor 'qat' must be 8 or 16 or None; got 4"),
        ({"layers": {"out": 3}}, "'layers' of compressor 'qat' must be 4 or 8 for each layer; got {'out': 3}"),
        ({"max_drop": 0.1}, "'max_drop' of compressor 'qat' must be None where bits is 8"),
    ],
)
def test_create_refuses(params, text):
    with pytest.raises(tfkit.ParameterError, match=text):
        tfkit.create("compressor", "qat", **params)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_models_without_kernels_or_quantized_already_are_refused(tmp_path):
    nothing = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    with pytest.raises(tfkit.ModelError, match=r"nothing to quantize.*its trainable variables are: none"):
        Qat().compress(nothing, tfkit.Data((np.ones((4, 4)), np.ones(4))), epochs=0, directory=tmp_path)
    model = dense()
    model.quantize("int8")
    with pytest.raises(tfkit.ModelError, match=r"is quantized by Keras already \(hidden, out\)"):
        chosen(model, Settings())
    with pytest.raises(tfkit.ModelError, match="is not built"):
        chosen(keras.Sequential([layers.Dense(2)]), Settings())
