"""TensorFlow Serving's gRPC services, on grpc.aio: PredictionService, ModelService, and health checks."""
