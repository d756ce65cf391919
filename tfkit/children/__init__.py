"""Functions that `tfkit.child.call` runs in processes of their own; they may import frameworks."""
