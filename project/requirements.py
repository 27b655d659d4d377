"""``make requirements``: pin the newest versions that requirements*.in allow, with hashes.

``make requirements ARGS=--keep`` keeps the versions and only adds what is new in the .in files.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = ["-m", "uv", "pip", "compile", "--universal", "--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
HEADER = "# Made by `make requirements` from {name}.in: exact versions, with hashes. Change that file, not this one.\n"
ALWAYS = re.compile(r"python_full_version < '3\.14'|(platform_python_)?implementation(_name)? [!=]= '\w+'")
"""Conditions that are true wherever Hearth runs. uv resolves for these environments only (`tool.uv.environments` in
pyproject.toml)."""


def main(args: list[str]) -> None:
    index = {"UV_DEFAULT_INDEX": url} if (url := os.environ.get("PIP_INDEX_URL")) else {}
    for name, options in (("requirements", []), ("requirements-dev", ["-c", "requirements.txt"])):
        command = [
            sys.executable,
            *COMPILE,
            "--python-version",
            "3.11",
            *options,
            *([] if "--keep" in args else ["--upgrade"]),
            f"{name}.in",
            "-o",
            f"{name}.txt",
        ]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **index}, check=True)
        file = ROOT / f"{name}.txt"
        file.write_text(HEADER.format(name=name) + re.sub(r" ; ([^\\\n]+?)(?= \\|\n)", _shorter, file.read_text()))


def _shorter(marker: re.Match[str]) -> str:
    conditions = [each for each in marker[1].split(" and ") if not ALWAYS.fullmatch(each)]
    return f" ; {' and '.join(conditions)}" if conditions else ""


if __name__ == "__main__":
    main(sys.argv[1:])
