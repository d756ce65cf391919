"""The gateway: models in the words of what they are for, in front of a model server."""
