"""What goes over the wire, without TensorFlow: messages, dtypes, tensors, errors."""
