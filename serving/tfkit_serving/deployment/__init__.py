"""Deployments: labels in models.config that move to a new version and back, and bundles for devices."""
