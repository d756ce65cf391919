"""Requests and responses of the PredictionService."""

PACKAGE = "tensorflow.serving"
TEXT = """
message ModelSpec
  string name = 1
  google.protobuf.Int64Value version = 2 oneof version_choice
  string version_label = 4 oneof version_choice
  string signature_name = 3
message PredictRequest
  ModelSpec model_spec = 1
  map<string,TensorProto> inputs = 2
  repeated string output_filter = 3
  optional bytes client_id = 6
message PredictResponse
  ModelSpec model_spec = 2
  map<string,TensorProto> outputs = 1
message ExampleList
  repeated Example examples = 1
message ExampleListWithContext
  repeated Example examples = 1
  Example context = 2
message Input
  ExampleList example_list = 1 oneof kind
  ExampleListWithContext example_list_with_context = 2 oneof kind
message ClassificationRequest
  ModelSpec model_spec = 1
  Input input = 2
message Class
  string label = 1
  float score = 2
message Classifications
  repeated Class classes = 1
message ClassificationResult
  repeated Classifications classifications = 1
message ClassificationResponse
  ModelSpec model_spec = 2
  ClassificationResult result = 1
message RegressionRequest
  ModelSpec model_spec = 1
  Input input = 2
message Regression
  float value = 1
message RegressionResult
  repeated Regression regressions = 1
message RegressionResponse
  ModelSpec model_spec = 2
  RegressionResult result = 1
message InferenceTask
  ModelSpec model_spec = 1
  string method_name = 2
message MultiInferenceRequest
  repeated InferenceTask tasks = 1
  Input input = 2
message InferenceResult
  ModelSpec model_spec = 1
  ClassificationResult classification_result = 2 oneof result
  RegressionResult regression_result = 3 oneof result
message MultiInferenceResponse
  repeated InferenceResult results = 1
message GetModelMetadataRequest
  ModelSpec model_spec = 1
  repeated string metadata_field = 2
message GetModelMetadataResponse
  ModelSpec model_spec = 1
  map<string,google.protobuf.Any> metadata = 2
message SignatureDefMap
  map<string,SignatureDef> signature_def = 1
"""
