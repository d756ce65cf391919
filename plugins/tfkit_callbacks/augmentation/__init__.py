"""Training batches that are never the same twice."""
