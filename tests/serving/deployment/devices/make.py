"""Made dense.tflite and dense_int8.tflite beside it: softmax(x @ KERNEL + BIAS), in float32 and in int8 throughout."""

from pathlib import Path

import numpy as np

KERNEL = np.array([[1.0, -0.5], [0.25, 0.75], [-1.5, 0.5]], np.float32)
BIAS = np.array([0.1, -0.2], np.float32)
HERE = Path(__file__).parent


def main():
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def serve(self, x):
            return {"scores": tf.nn.softmax(tf.matmul(x, KERNEL) + BIAS)}

    model = Model()

    def converter():
        return tf.lite.TFLiteConverter.from_concrete_functions([model.serve.get_concrete_function()], model)

    def save(name, made):
        (HERE / name).write_bytes(made.convert())

    save("dense.tflite", converter())
    rows = np.random.default_rng(0).normal(size=(200, 1, 3)).astype(np.float32)
    small = converter()
    small.optimizations = [tf.lite.Optimize.DEFAULT]
    small.representative_dataset = lambda: ([row] for row in rows)
    small.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    small.inference_input_type = small.inference_output_type = tf.int8
    save("dense_int8.tflite", small)


if __name__ == "__main__":
    main()
