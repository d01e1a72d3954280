"""pyasic's settings, and beside them ``ports``, ``scan_timeout`` and ``write_timeout``."""

from headframe.compat.pyasic._settings import get, update

__all__ = ["get", "update"]
