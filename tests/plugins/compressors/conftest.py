# Programs that tests here start.
collect_ignore = ["prune_against_tfmot.py", "prune_on_two_devices.py"]
