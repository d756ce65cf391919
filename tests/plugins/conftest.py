# Run as a script, in a process of its own: it sets the number of devices.
collect_ignore = ["two_devices.py"]
