"""The REST API of TensorFlow Serving: routes, JSON in, JSON out, as a plain ASGI application."""
