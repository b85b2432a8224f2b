"""The arithmetic of the verdict: pure functions over arrays, each with its source."""
