"""Recorded requests, as warm-up files hold them."""

PACKAGE = "tensorflow.serving"
TEXT = """
message LogMetadata
  ModelSpec model_spec = 1
  SamplingConfig sampling_config = 2
  repeated string saved_model_tags = 3
message ClassifyLog
  ClassificationRequest request = 1
  ClassificationResponse response = 2
message RegressLog
  RegressionRequest request = 1
  RegressionResponse response = 2
message PredictLog
  PredictRequest request = 1
  PredictResponse response = 2
message MultiInferenceLog
  MultiInferenceRequest request = 1
  MultiInferenceResponse response = 2
message PredictionLog
  LogMetadata log_metadata = 1
  ClassifyLog classify_log = 2 oneof log_type
  RegressLog regress_log = 3 oneof log_type
  PredictLog predict_log = 6 oneof log_type
  MultiInferenceLog multi_inference_log = 4 oneof log_type
"""
