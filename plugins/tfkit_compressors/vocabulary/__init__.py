"""Vocabulary trimming: fewer tokens in the layers that look words up, fewer rows in the weights that read them."""
