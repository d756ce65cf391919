"""Servables: versions of models, each loaded in a process of its own, found on disk and kept up to date."""
