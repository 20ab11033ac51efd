"""Measures beside a baseline of the same run: `python -m benchmarks`. Nothing here passes or fails by the clock."""
