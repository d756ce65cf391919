"""Classification and regression of tf.Examples by a servable's signatures, shared by REST and gRPC."""

from tfkit_serving.inference.classification import classify
from tfkit_serving.inference.examples import examples_of
from tfkit_serving.inference.method import DEFAULT_SIGNATURE
from tfkit_serving.inference.multiple import multi_inference
from tfkit_serving.inference.regression import regress

__all__ = ["DEFAULT_SIGNATURE", "classify", "examples_of", "multi_inference", "regress"]
