# Run as scripts, each in a process of its own: they set the number of devices, or import Keras 2.
collect_ignore = ["two_devices.py"]
