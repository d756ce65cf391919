"""Serving: a client, an embedded server and a gateway, with TensorFlow Serving's own APIs."""
