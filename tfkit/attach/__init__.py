"""What installs a part on a model for one `fit` and takes it off again. Implementation modules: they import keras."""
