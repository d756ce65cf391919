"""Configuration: flags named as tensorflow_model_server's, and the text protos that they point to."""
