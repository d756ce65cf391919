"""The end of a fit whose loss or gradients are no longer finite."""
