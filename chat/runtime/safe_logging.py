"""Log lines for unexpected errors: their type and place, never their message, because a database's quotes the row."""

import traceback

FRAMES = 6


def describe(error: BaseException) -> str:
    """The error's type and the innermost frames of where it was raised, without its message, on one line."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__} at {places or '?'}"
