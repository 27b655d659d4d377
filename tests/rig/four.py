"""The four back-ends that the same tests run on, and the check that none was left out."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Backend:
    """The services that a site uses: ``sqlite`` or ``postgresql``, and ``memory`` or ``redis``."""

    database: str
    layer: str

    def __str__(self) -> str:
        return f"{self.database}-{self.layer}"


BACKENDS = tuple(Backend(database, layer) for database in ("sqlite", "postgresql") for layer in ("memory", "redis"))


def missing(session: pytest.Session) -> list[str]:
    """The back-ends that none of the collected tests runs on."""
    used = Counter(
        str(item.callspec.params["backend"])
        for item in session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "backend" in item.callspec.params
    )
    return [str(backend) for backend in BACKENDS if not used[str(backend)]]


def is_whole_suite(session: pytest.Session) -> bool:
    """Whether all tests were asked for: no path below tests/, no -k, no lane but the main one."""
    config = session.config
    roots = {config.rootpath, config.rootpath / "tests"}
    everything = all(config.rootpath.joinpath(Path(arg.partition("::")[0])).resolve() in roots for arg in config.args)
    is_narrowed = config.option.keyword or config.option.markexpr not in ("", "not alone") or config.option.quick
    return everything and not is_narrowed


def complain_about_missing(session: pytest.Session) -> None:
    """Fail a run of the whole suite that leaves a back-end untested."""
    if is_whole_suite(session) and (absent := missing(session)):
        raise pytest.UsageError(f"No test was collected for {', '.join(absent)}.")
