"""Load on a server: open and closed loops, latencies, and the ratio to the signature called in process."""
