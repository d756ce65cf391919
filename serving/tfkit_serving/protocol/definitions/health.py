"""gRPC's health checks."""

PACKAGE = "grpc.health.v1"
TEXT = """
message HealthCheckRequest
  string service = 1
message HealthCheckResponse
  enum ServingStatus UNKNOWN=0 SERVING=1 NOT_SERVING=2 SERVICE_UNKNOWN=3
  ServingStatus status = 1
"""
