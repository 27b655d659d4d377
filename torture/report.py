"""Writes what scenarios have shown to files: JSON for programs, and a page with a timeline of each for people."""

import json
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torture.checker import described
from torture.recorder import Event

if TYPE_CHECKING:
    from torture.runner import Outcome

WIDTH, LEFT, LANE = 1000, 170, 64
"""Of a timeline: its width, the part of it for names, and the height of a curve, in pixels."""
BAR = 16
VIOLATIONS_SHOWN = 20
STYLE = """
:root { color-scheme: light dark; --line: #2563eb; --fault: #dc262655; --rule: #8885; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
.passed { color: #15803d } .failed { color: #dc2626 }
table { border-collapse: collapse } td, th { text-align: start; padding: .1rem .8rem .1rem 0; vertical-align: top }
pre { overflow-x: auto; font-size: 12px } svg { width: 100%; height: auto; font-size: 11px }
polyline { fill: none; stroke: var(--line); stroke-width: 1.2 } rect { fill: var(--fault) }
text { fill: currentColor } line { stroke: var(--rule) }
"""

Curve = list[tuple[float, float]]


def write_report(outcomes: "Sequence[Outcome]", path: Path) -> list[Path]:
    """Write ``path`` as .json and as .html, and return both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data, page = path.with_suffix(".json"), path.with_suffix(".html")
    data.write_text(json.dumps([outcome.as_json() for outcome in outcomes], ensure_ascii=False, indent=1) + "\n")
    page.write_text(_page(outcomes))
    return [data, page]


def _page(outcomes: "Sequence[Outcome]") -> str:
    sections = "".join(_section(outcome) for outcome in outcomes)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Torture</title><style>{STYLE}</style><h1>Torture</h1>{sections}</html>\n"
    )


def _section(outcome: "Outcome") -> str:
    verdict = "passed" if outcome.is_passed else "failed"
    rows = [
        f"<tr><td class={'passed' if each.is_met else 'failed'}>{'met' if each.is_met else 'missed'}"
        f"<td>{escape(each.what)}"
        f"<td>{'never' if each.value is None else escape(f'{each.value:g} {each.unit}')}<td>limit {each.limit:g}"
        for each in outcome.criteria
    ]
    figures = [f"<tr><th>{escape(name)}<td>{escape(plain(value))}" for name, value in outcome.figures.items()]
    shown = "\n\n".join(described(each) for each in outcome.violations[:VIOLATIONS_SHOWN])
    found = f"<h3>{len(outcome.violations)} violations</h3><pre>{escape(shown)}</pre>" if outcome.violations else ""
    error = f"<h3>Not played to its end</h3><pre>{escape(outcome.error)}</pre>" if outcome.error else ""
    return (
        f"<h2>{escape(outcome.scenario + outcome.with_bug)} <span class={verdict}>{verdict}</span></h2>"
        f"<p>seed {outcome.seed}, {outcome.database}, {outcome.seconds:.0f} s"
        f"{timeline(outcome.recorder.events)}<table>{''.join(rows)}</table><table>{''.join(figures)}</table>{found}{error}"
    )


def plain(value: Any) -> str:
    """A figure as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def timeline(events: Sequence[Event]) -> str:
    """A drawing of the run: when which fault was, and beneath it what happened in each second."""
    end = max((event.get("t", 0.0) for event in events), default=0.0) or 1.0
    spans = _faults(events, end)
    names = list(dict.fromkeys(name for name, _, _ in spans))
    parts, y = [], 4

    def x(t: float) -> float:
        return round(LEFT + (WIDTH - LEFT) * t / end, 1)

    for name in names:
        parts.append(f"<text x=0 y={y + BAR - 4}>{escape(name)}</text>")
        for other, since, until in spans:
            if other == name:
                width = max(2.0, x(until) - x(since))
                parts.append(
                    f"<rect x={x(since)} y={y} width={width:.1f} height={BAR - 3}>"
                    f"<title>{since:.1f}–{until:.1f} s</title></rect>"
                )
        y += BAR
    for name, unit, curve in _curves(events):
        top = max((value for _, value in curve), default=0.0) or 1.0
        points = " ".join(f"{x(t)},{y + LANE - 8 - (LANE - 16) * value / top:.1f}" for t, value in curve)
        parts += [
            f"<line x1={LEFT} x2={WIDTH} y1={y + LANE - 8} y2={y + LANE - 8} />",
            f"<text x=0 y={y + LANE // 2}>{escape(name)}</text>",
            f"<text x=0 y={y + LANE // 2 + 13}>up to {top:,.1f} {escape(unit)}</text>",
            f"<polyline points='{points}' />",
        ]
        y += LANE
    parts.append(f"<text x={LEFT} y={y + 10}>0 s</text><text x={WIDTH - 40} y={y + 10}>{end:.0f} s</text>")
    label = "Timeline of faults and figures"
    return f"<svg viewBox='0 0 {WIDTH} {y + 16}' role=img aria-label='{label}'>{''.join(parts)}</svg>"


def _faults(events: Sequence[Event], end: float) -> list[tuple[str, float, float]]:
    since: dict[int, Event] = {}
    spans = []
    for event in events:
        if event["e"] == "fault" and event["phase"] == "begin":
            since[event["n"]] = event
        elif event["e"] == "fault":
            begin = since.pop(event["n"])
            spans.append((begin["name"], begin["t"], event["t"]))
    return spans + [(begin["name"], begin["t"], end) for begin in since.values()]


def _curves(events: Sequence[Event]) -> list[tuple[str, str, Curve]]:
    posted = {(each["user"], each["room"], each["id"]): each["t"] for each in events if each["e"] == "post"}
    acks: dict[int, list[float]] = defaultdict(list)
    shows: dict[int, list[float]] = defaultdict(list)
    memory: dict[int, Curve] = defaultdict(list)
    lag: Curve = []
    for event in events:
        if event["e"] == "ok" and (at := posted.get((event["user"], event["room"], event["id"]))) is not None:
            acks[int(event["t"])].append(event["t"] - at)
        elif event["e"] == "show" and (at := posted.get((event["author"], event["room"], event["id"]))) is not None:
            shows[int(event["t"])].append(event["t"] - at)
        elif event["e"] == "memory":
            memory[event["process"]].append((event["t"], event["mib"]))
        elif event["e"] == "lag":
            lag.append((event["t"], 1000 * event["seconds"]))
    last = max([*acks, *shows], default=0)
    first = min([*acks, *shows], default=0)
    seconds = range(first, last + 1)
    curves: list[tuple[str, str, Curve]] = [
        ("acknowledged", "a second", [(at, float(len(acks.get(at, ())))) for at in seconds]),
        ("slowest acknowledgement", "ms", [(at, 1000 * max(acks.get(at, [0.0]))) for at in seconds]),
        ("shown", "a second", [(at, float(len(shows.get(at, ())))) for at in seconds]),
        ("slowest showing", "ms", [(at, 1000 * max(shows.get(at, [0.0]))) for at in seconds]),
        *((f"memory of process {process}", "MiB", curve) for process, curve in sorted(memory.items())),
        ("this program's own lag", "ms", lag),
    ]
    return [curve for curve in curves if curve[2]]
