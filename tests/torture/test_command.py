"""The command line: what it says, and its exit status."""

import json
from pathlib import Path

import pytest

from torture import command
from torture.scenarios import SCENARIOS
from torture.seeded_bugs import BUGS

SHORT = ["--duration", "2", "--size", "0.5", "--database", "sqlite", "--seed", "5"]


def test_the_list_names_all_scenarios_and_bugs(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in [*SCENARIOS, *BUGS])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scenario", "nonsense"], "nonsense"),
        (["--bug", "nonsense"], "nonsense"),
        (["--scenario", "rollbacks", "--database", "sqlite"], "Not on sqlite: rollbacks"),
    ],
)
def test_what_is_not_known_is_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_missing_requirement_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(command.NEEDS, "no_such_package.inside", "a purpose")
    assert command.main(["--list"]) == 2
    assert "no_such_package.inside (a purpose)" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("bug", "status"), [("sequence_per_process", 1), ("", 0)])
def test_a_violation_is_the_exit_status_and_is_shown_with_the_seed(
    bug: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, kept = tmp_path / "report", tmp_path / "kept"
    files = ["--report", str(report), "--keep", str(kept)]
    assert command.main(["--scenario", "two-writers", *SHORT, *files, *(["--bug", bug] if bug else [])]) == status
    printed = capsys.readouterr().out
    assert "seed 5" in printed
    assert ("violations:" in printed) == bool(bug)
    (outcome,) = json.loads(report.with_suffix(".json").read_text())
    assert outcome["passed"] == (not bug)
    assert bool(outcome["violations"]) == bool(bug)
    assert (outcome["bug"], "was found, as it should be" in printed) == (bug, bool(bug))
    assert "<svg" in report.with_suffix(".html").read_text()
    assert (kept / "two-writers-sqlite-5.jsonl").stat().st_size > 10_000
