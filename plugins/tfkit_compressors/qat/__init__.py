"""Quantization-aware training on Keras 3 itself, without wrapper layers."""
