"""Classification and regression over a servable that answers with what a test says."""

import asyncio

import numpy as np
import pytest
from google.protobuf import text_format

from tfkit_serving.inference import classify, examples_of, multi_inference, regress
from tfkit_serving.protocol.errors import ServingError
from tfkit_serving.protocol.messages import Example, Input, MultiInferenceRequest, SignatureDef
from tfkit_serving.servables.signature import Signature

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


class Fake:
    """Has one signature, `serving_default`, or those given; notes what it is asked and answers with `arrays`."""

    def __init__(self, arrays, inputs=("inputs",), outputs=None, **signatures):
        self.arrays, self.asked = arrays, []
        outputs = tuple(arrays) if outputs is None else outputs
        signatures = signatures or {"serving_default": (inputs, outputs)}
        self.signatures = {name: self.signature(*each) for name, each in signatures.items()}

    @staticmethod
    def signature(inputs, outputs, tensor="examples:0"):
        proto = SignatureDef(method_name="tensorflow/serving/predict")
        for name in inputs:
            proto.inputs[name].name, proto.inputs[name].dtype = tensor, 7
        for name in outputs:
            proto.outputs[name].name = f"{name}:0"
        return Signature.from_bytes(proto.SerializeToString())

    async def run(self, signature, inputs, outputs=None):
        self.asked.append((signature, {name: each.tolist() for name, each in inputs.items()}, list(outputs)))
        return {name: self.arrays[name] for name in outputs}


def texts(rows):
    return np.array(rows, object)


def classes_of(result):
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


LABELS, SCORES = texts([[b"a", b"b"], [b"c", b"d"]]), np.float32([[0.5, 0.25], [1, 2]])


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (
            {"classes": LABELS, "scores": SCORES},
            [[("a", 0.5), ("b", 0.25)], [("c", 1), ("d", 2)]],
        ),
        ({"classes": LABELS}, [[("a", 0), ("b", 0)], [("c", 0), ("d", 0)]]),
        ({"scores": SCORES}, [[("", 0.5), ("", 0.25)], [("", 1), ("", 2)]]),
        ({"scores": np.zeros((2, 0), np.float32)}, [[], []]),
        ({"classes": texts([[b"\xff"], ["é".encode()]])}, [[("\ufffd", 0)], [("é", 0)]]),
    ],
)
def test_classes(arrays, expected):
    servable = Fake(arrays)
    result = asyncio.run(classify(servable, "", [b"1", b"2"], context=b"c"))
    assert classes_of(result) == expected
    assert servable.asked == [("serving_default", {"inputs": [b"c1", b"c2"]}, list(arrays))]


def test_other_outputs_are_not_fetched():
    servable = Fake({"scores": SCORES}, outputs=("scores", "further"))
    assert len(classes_of(asyncio.run(classify(servable, "", [b"", b""])))) == 2
    assert servable.asked[0][2] == ["scores"]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_regressions(shape):
    servable = Fake({"outputs": np.float32([1.5, -2, 0]).reshape(shape)})
    result = asyncio.run(regress(servable, "serving_default", [b"1", b"2", b"3"]))
    assert [each.value for each in result.regressions] == [1.5, -2, 0]


@pytest.mark.parametrize(
    ("infer", "servable", "said"),
    [
        (classify, Fake({}, s=((), ())), "No signature was found with the name: serving_default"),
        (classify, Fake({"scores": SCORES}, ("a", "b")), "Expected one input Tensor."),
        (classify, Fake({}), "Expected one or two output Tensors, found 0"),
        (classify, Fake({"a": SCORES, "b": SCORES, "c": SCORES}), "Expected one or two output Tensors, found 3"),
        (classify, Fake({"scores": SCORES}, ("x",)), "No classification inputs found in SignatureDef: goo.gle/debug"),
        (
            classify,
            Fake({"y": SCORES}),
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            "Signature was: goo.gle/debug",
        ),
        (classify, Fake({"scores": SCORES[0]}), "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        (classify, Fake({"scores": SCORES.astype("f8")}), "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        (classify, Fake({"classes": SCORES}), "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        (classify, Fake({"scores": SCORES[:1]}), "Expected scores output batch size of 2. Got: 1"),
        (classify, Fake({"classes": LABELS[:1]}), "Expected classes output batch size of 2. Got: 1"),
        (
            classify,
            Fake({"classes": LABELS, "scores": SCORES[:, :1]}),
            "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
        ),
        (regress, Fake({"a": SCORES, "b": SCORES}), "Expected one output Tensor."),
        (regress, Fake({"outputs": SCORES}, ()), "Expected one input Tensor."),
        (regress, Fake({"outputs": SCORES}, ("x",)), "No regression inputs found in SignatureDef: goo.gle/debug"),
        (regress, Fake({"y": SCORES}), "No regression outputs found in SignatureDef: goo.gle/debug"),
        (
            regress,
            Fake({"outputs": SCORES}),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
        ),
        (
            regress,
            Fake({"outputs": np.float32(1)}),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []",
        ),
        (
            regress,
            Fake({"outputs": np.zeros(3, "f4")}),
            "Input batch size did not match output batch size: 2 vs. 3",
        ),
        (regress, Fake({"outputs": np.zeros(2, "i4")}), "Expected output Tensor of DT_FLOAT.  Got: DT_INT32"),
    ],
)
def test_refusals(infer, servable, said):
    with pytest.raises(ServingError) as caught:
        asyncio.run(infer(servable, "", [b"1", b"2"]))
    assert caught.value.message.startswith(said)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_signature_in_an_error_is_its_text_form():
    servable = Fake({"scores": SCORES}, ("x",))
    with pytest.raises(ServingError) as caught:
        asyncio.run(classify(servable, "", [b""]))
    _, _, text = caught.value.message.partition("goo.gle/debugproto")
    assert text_format.Parse(text, SignatureDef()) == servable.signatures["serving_default"].proto


@pytest.mark.parametrize(
    ("examples", "context", "said"),
    [([], None, "Input is empty."), ([b""] * 2048, b"c" * (1 << 20), "send fewer examples at once")],
)
def test_no_examples_and_too_many(examples, context, said):
    servable = Fake({"scores": SCORES})
    with pytest.raises(ServingError, match=said) as caught:
        asyncio.run(classify(servable, "", examples, context=context))
    assert (caught.value.code, servable.asked) == ("INVALID_ARGUMENT", [])


def example(**features):
    found = Example()
    for name, value in features.items():
        found.features.feature[name].float_list.value.append(value)
    return found


def test_examples_of_an_input():
    rows = [example(x=1, y=2), example()]
    examples, context = examples_of(Input(example_list={"examples": rows}))
    assert ([Example.FromString(each) for each in examples], context) == (rows, None)
    shared = Input(example_list_with_context={"examples": rows, "context": example(x=3, z=4)})
    examples, context = examples_of(shared)
    assert [Example.FromString(context + each) for each in examples] == [example(x=1, y=2, z=4), example(x=3, z=4)]
    assert examples_of(Input()) == ([], None)


def task(signature, method, model="m"):
    return {"model_spec": {"name": model, "signature_name": signature}, "method_name": method}


# Keras exports each signature with an input tensor of its own.
BOTH = {"c": (("inputs",), ("scores",)), "r": (("inputs",), ("outputs",), "others:0")}


def test_multi_inference():
    servable = Fake({"scores": SCORES, "outputs": np.float32([3, 4])}, **BOTH)
    rows = {"example_list": {"examples": [example(x=1), example(x=2)]}}
    request = MultiInferenceRequest(tasks=[task("r", REGRESS), task("c", CLASSIFY)], input=rows)
    first, second = asyncio.run(multi_inference(servable, request)).results
    assert [each.value for each in first.regression_result.regressions] == [3, 4]
    assert classes_of(second.classification_result) == [[("", 0.5), ("", 0.25)], [("", 1), ("", 2)]]
    serialized = [each.SerializeToString() for each in (example(x=1), example(x=2))]
    assert servable.asked == [("r", {"inputs": serialized}, ["outputs"]), ("c", {"inputs": serialized}, ["scores"])]


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([task("r", REGRESS, "")], "Found ModelSpec with an empty model name."),
        ([task("r", REGRESS), task("c", CLASSIFY, "n")], "All ModelSpecs in a MultiInferenceRequest must access the"),
        ([task("r", REGRESS), task("r", REGRESS)], "Duplicate evaluation of signature: r"),
        ([task("", REGRESS)], "Requested signature not found in model graph: serving_default"),
        ([task("r", "tensorflow/serving/predict")], "Unsupported signature method_name: tensorflow/serving/predict"),
        ([task("r", CLASSIFY)], "Expected classification signature outputs to contain"),
        ([task("r", REGRESS)], "Input is empty."),
    ],
)
def test_tasks_that_do_not_go_together(tasks, said):
    servable = Fake({}, **BOTH)
    with pytest.raises(ServingError) as caught:
        asyncio.run(multi_inference(servable, MultiInferenceRequest(tasks=tasks)))
    assert caught.value.message.startswith(said)
    assert caught.value.code == ("UNIMPLEMENTED" if said.startswith("Unsupported") else "INVALID_ARGUMENT")
    assert servable.asked == []
