"""Layer placement: the layers of one model on several devices."""
