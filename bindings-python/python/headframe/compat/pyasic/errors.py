"""pyasic's names of errors. There is one base, so ``except APIError`` catches every error of this package."""

from headframe._errors import HeadframeError

APIError = HeadframeError


class APIWarning(Warning):
    """Never given: warnings are logged, as ``headframe.compat.pyasic``."""


__all__ = ["APIError", "APIWarning"]
