"""The stages of a run, one module each: evaluate, search, train, compress, export, report."""
