"""Names of what can be asked for."""

from headframe.compat.pyasic._options import DataOptions

__all__ = ["DataOptions"]
