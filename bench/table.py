"""Format tables with aligned columns and a note below."""

from collections.abc import Sequence


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])

    parts = ["", title, line(head), "  ".join("-" * width for width in widths), *map(line, rows)]
    return "\n".join([*parts, note] if note else parts)


def figure(value: float) -> str:
    """Format a number with about three significant digits and a thousands separator."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
