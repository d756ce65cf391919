"""Keras 3 models carried to tf_keras and back, and TFMOT's own API on them."""
