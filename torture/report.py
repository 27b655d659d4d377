"""Writes what scenarios have shown to a file."""
import json
from pathlib import Path
from typing import Any

def write_report(outcomes: list[Any], path: Path) -> None:
    path.with_suffix(".json").write_text(json.dumps([each.as_json() for each in outcomes], indent=1))
