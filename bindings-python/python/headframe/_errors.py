"""What goes wrong, and what to do about it. Every error of this package is a HeadframeError."""

from __future__ import annotations

from typing import Any, Literal


class HeadframeError(Exception):
    """What failed, on which thing, and what to do.

    ``code`` is stable; it is MiningOS's where it has one, such as ``ERR_ACTION_DECIDED``. ``kind`` says what to do about it, and each
    kind is a class of its own. ``sent`` says whether a device or store may have what was written all the same: ``"no"`` or
    ``"maybe"``. ``retryable``: the same call may do better later. ``op`` is what failed, such as ``action.push``; ``context`` says on
    which thing, which field, and the like.
    """

    kind: str = "Internal"
    _code: str = "ERR_INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        op: str = "python",
        sent: Literal["no", "maybe"] = "no",
        retryable: bool = False,
        context: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code: str = self._code if code is None else code
        self.op: str = op
        self.sent: Literal["no", "maybe"] = sent
        self.retryable: bool = retryable
        self.context: dict[str, str] = {} if context is None else context


class Invalid(HeadframeError):
    """An argument, a configuration or a range is wrong: correct it. The field is named in the context."""

    kind = "Invalid"
    _code = "ERR_INVALID"


class NotFound(HeadframeError):
    """The thing, rack or action does not exist."""

    kind = "NotFound"
    _code = "ERR_NOT_FOUND"


class Conflict(HeadframeError):
    """The state changed meanwhile, or the thing exists already: read again."""

    kind = "Conflict"
    _code = "ERR_CONFLICT"


class Unsupported(HeadframeError):
    """This device, model or firmware cannot do it: ask its capability first."""

    kind = "Unsupported"
    _code = "ERR_UNSUPPORTED"


class Unauthenticated(HeadframeError):
    """The credentials are missing or wrong."""

    kind = "Unauthenticated"
    _code = "ERR_UNAUTHENTICATED"


class Forbidden(HeadframeError):
    """The credentials are right but do not allow it."""

    kind = "Forbidden"
    _code = "ERR_FORBIDDEN"


class Unreachable(HeadframeError):
    """No connection: powered off, wrong address, or the port is closed."""

    kind = "Unreachable"
    _code = "ERR_OFFLINE"


class Timeout(HeadframeError):
    """The deadline passed."""

    kind = "Timeout"
    _code = "ERR_TIMEOUT"


class RateLimited(HeadframeError):
    """Too many requests: wait before the next."""

    kind = "RateLimited"
    _code = "ERR_RATE_LIMITED"


class Rejected(HeadframeError):
    """The device understood and refused; its reason is in the message."""

    kind = "Rejected"
    _code = "ERR_REJECTED"


class BadReply(HeadframeError):
    """The reply could not be understood."""

    kind = "BadReply"
    _code = "ERR_BAD_REPLY"


class Corrupt(HeadframeError):
    """Stored data failed a check."""

    kind = "Corrupt"
    _code = "ERR_CORRUPT"


class Closed(HeadframeError):
    """The handle, collector or connection was closed."""

    kind = "Closed"
    _code = "ERR_CLOSED"


class Internal(HeadframeError):
    """A defect of Headframe itself."""

    kind = "Internal"
    _code = "ERR_INTERNAL"


KINDS: dict[str, type[HeadframeError]] = {error.kind: error for error in HeadframeError.__subclasses__()}


def made(told: dict[str, Any]) -> HeadframeError:
    """An error of the native part as one of ours."""
    error = KINDS.get(told["kind"], HeadframeError)
    return error(
        told["message"],
        code=told["code"],
        op=told["op"],
        sent=told["sent"],
        retryable=told["retryable"],
        context=told["context"],
    )


def invalid(field: str, why: str) -> Invalid:
    """An argument is wrong."""
    return Invalid(f"{field}: {why}", context={"field": field})
