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
        self.code: str = _CODES.get(self.kind, "ERR_INTERNAL") if code is None else code
        self.op: str = op
        self.sent: Literal["no", "maybe"] = sent
        self.retryable: bool = retryable
        self.context: dict[str, str] = {} if context is None else context


class Invalid(HeadframeError):
    """An argument, a configuration or a range is wrong: correct it. The field is named in the context."""

    kind = "Invalid"


class NotFound(HeadframeError):
    """The thing, rack or action does not exist."""

    kind = "NotFound"


class Conflict(HeadframeError):
    """The state changed meanwhile, or the thing exists already: read again."""

    kind = "Conflict"


class Unsupported(HeadframeError):
    """This device, model or firmware cannot do it: ask its capability first."""

    kind = "Unsupported"


class Unauthenticated(HeadframeError):
    """The credentials are missing or wrong."""

    kind = "Unauthenticated"


class Forbidden(HeadframeError):
    """The credentials are right but do not allow it."""

    kind = "Forbidden"


class Unreachable(HeadframeError):
    """No connection: powered off, wrong address, or the port is closed."""

    kind = "Unreachable"


class Timeout(HeadframeError):
    """The deadline passed."""

    kind = "Timeout"


class RateLimited(HeadframeError):
    """Too many requests: wait before the next."""

    kind = "RateLimited"


class Rejected(HeadframeError):
    """The device understood and refused; its reason is in the message."""

    kind = "Rejected"


class BadReply(HeadframeError):
    """The reply could not be understood."""

    kind = "BadReply"


class Corrupt(HeadframeError):
    """Stored data failed a check."""

    kind = "Corrupt"


class Closed(HeadframeError):
    """The handle, collector or connection was closed."""

    kind = "Closed"


class Internal(HeadframeError):
    """A defect of Headframe itself."""

    kind = "Internal"


KINDS: dict[str, type[HeadframeError]] = {
    error.kind: error
    for error in (
        Invalid,
        NotFound,
        Conflict,
        Unsupported,
        Unauthenticated,
        Forbidden,
        Unreachable,
        Timeout,
        RateLimited,
        Rejected,
        BadReply,
        Corrupt,
        Closed,
        Internal,
    )
}

_CODES = {
    "Invalid": "ERR_INVALID",
    "NotFound": "ERR_NOT_FOUND",
    "Conflict": "ERR_CONFLICT",
    "Unsupported": "ERR_UNSUPPORTED",
    "Unauthenticated": "ERR_UNAUTHENTICATED",
    "Forbidden": "ERR_FORBIDDEN",
    "Unreachable": "ERR_OFFLINE",
    "Timeout": "ERR_TIMEOUT",
    "RateLimited": "ERR_RATE_LIMITED",
    "Rejected": "ERR_REJECTED",
    "BadReply": "ERR_BAD_REPLY",
    "Corrupt": "ERR_CORRUPT",
    "Closed": "ERR_CLOSED",
    "Internal": "ERR_INTERNAL",
}


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
