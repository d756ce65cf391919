"""Population-based training: members train side by side, and the bad ones go on from the good ones."""
