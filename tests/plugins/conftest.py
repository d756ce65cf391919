# Run as scripts, each in a process of its own: they set the number of devices, or import Keras 2.
collect_ignore = ["prune_against_tfmot.py", "prune_on_two_devices.py", "two_devices.py"]
