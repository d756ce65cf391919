"""Where the trials of a search run: in this process, in child processes, or on a Ray cluster."""
