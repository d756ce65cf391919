# Imported by the tests that want them, not collected: they are wrong on purpose.
collect_ignore_glob = ["bad_*.py"]
