"""Files and folders that hold a model: read, written, named and compared."""
