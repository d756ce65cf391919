"""Signatures of a SavedModel: `tensorflow.SignatureDef`."""

PACKAGE = "tensorflow"
TEXT = """
message TensorInfo
  message CooSparse
    string values_tensor_name = 1
    string indices_tensor_name = 2
    string dense_shape_tensor_name = 3
  string name = 1 oneof encoding
  CooSparse coo_sparse = 4 oneof encoding
  DataType dtype = 2
  TensorShapeProto tensor_shape = 3
message SignatureDef
  map<string,TensorInfo> inputs = 1
  map<string,TensorInfo> outputs = 2
  string method_name = 3
  map<string,TensorProto> defaults = 4
"""
