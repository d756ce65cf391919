# Run as a script in a process of its own, which has two logical CPU devices.
collect_ignore = ["strategies_alone.py"]
