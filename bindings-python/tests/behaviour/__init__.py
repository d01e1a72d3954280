"""Runs the cases of the behaviour suite over the package, on either of its faces."""
