"""`python -m tfkit`, the same as `tfkit`."""

from tfkit.cli import main

if __name__ == "__main__":
    main()
