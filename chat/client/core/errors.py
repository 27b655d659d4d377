"""Turns the server's refusals into exceptions: the class that has the code, with what the server said about it."""

from chat.wire.errors import ChatError
from chat.wire.protocol import ErrorBody


def _all(kind: type[ChatError]) -> dict[str, type[ChatError]]:
    found = {} if kind is ChatError else {kind.code: kind}
    for each in kind.__subclasses__():
        if each.__module__ == ChatError.__module__:
            found |= _all(each)
    return found


_BY_CODE = _all(ChatError)


def error_from(body: ErrorBody) -> ChatError:
    """Return the exception for an error on the wire. A code that this version does not know becomes a ``ChatError``."""
    kind = _BY_CODE.get(body.code)
    if kind is None or kind.retry != body.retry:
        # The server decides about `retry`, which is an attribute of the class.
        base = kind or ChatError
        kind = type(base.__name__, (base,), {"code": body.code, "retry": body.retry, "__module__": base.__module__})
        _BY_CODE.setdefault(body.code, kind)
    return kind(
        body.message,
        field=body.field if isinstance(body.field, str) else None,
        retry_after_ms=body.retry_after_ms if isinstance(body.retry_after_ms, int) else None,
    )
