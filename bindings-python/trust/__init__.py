"""Programs of the check ``x-bindings``, which calls the package with anything: ``python -m trust.main PART SEED COUNT``."""
