"""Requests and responses of the ModelService."""

PACKAGE = "tensorflow.serving"
TEXT = """
message StatusProto
  tensorflow.error.Code error_code = 1
  string error_message = 2
message GetModelStatusRequest
  ModelSpec model_spec = 1
message ModelVersionStatus
  enum State UNKNOWN=0 START=10 LOADING=20 AVAILABLE=30 UNLOADING=40 END=50
  int64 version = 1
  State state = 2
  StatusProto status = 3
message GetModelStatusResponse
  repeated ModelVersionStatus model_version_status = 1
message ReloadConfigRequest
  ModelServerConfig config = 1
  repeated string metric_names = 2
message Metric
  string name = 1
  int64 int64_value_increase = 2 oneof value_increase
message ReloadConfigResponse
  StatusProto status = 1
  repeated Metric metric = 2
"""
