"""What the log leaves out."""

from logging import LogRecord


def refusal_in_one_line(record: LogRecord) -> bool:
    """Lets every record pass; where somebody was refused a page, without the traceback, which says nothing more."""
    if getattr(record, "status_code", None) == 403:
        record.exc_info = None
    return True
