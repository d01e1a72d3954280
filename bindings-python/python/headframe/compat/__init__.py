"""Shapes of other libraries over Headframe's drivers, for programs that were written for those."""
