"""The scripts' sentences: none is missing, none is left over, each code that has one is a real code."""

import re
from pathlib import Path

from django.utils.translation import override

from chat.web.script_texts import SENTENCES, script_texts
from chat.wire.errors import ChatError

JS = Path(__file__).parents[2] / "chat/static/chat/js"
SCRIPTS = re.sub(r"texts\.(?:js|py)\b", "", "\n".join(path.read_text() for path in sorted(JS.rglob("*.js"))))
USED = set(re.findall(r"\btexts\.(\w+)", SCRIPTS)) | set(re.findall(r"""\btexts\["([\w.]+)"\]""", SCRIPTS))
QUOTED = set(re.findall(r'"([\w.]+)"', SCRIPTS))
PREFIXES = tuple(re.findall(r"\btexts\[`([\w.]+)\$\{", SCRIPTS))


def codes(kind: type[ChatError] = ChatError) -> set[str]:
    return {kind.code, *(code for each in kind.__subclasses__() for code in codes(each))}


def test_every_sentence_that_scripts_show_is_there_to_be_translated() -> None:
    assert USED - set(SENTENCES) == set()


def test_no_sentence_is_left_over() -> None:
    assert all(any(key.startswith(prefix) for key in SENTENCES) for prefix in PREFIXES)
    left = {key for key in set(SENTENCES) - USED - QUOTED if not key.startswith(PREFIXES)}
    assert left == set()


def test_errors_have_sentences_by_codes_that_exist() -> None:
    known = codes() | set(re.findall(r'"(client\.\w+)"', SCRIPTS)) | {"unexpected"}
    assert {key.removeprefix("error.") for key in SENTENCES if key.startswith("error.")} - known == set()


def test_placeholders_are_filled_by_name() -> None:
    """A key is a sentence or a function to the scripts: which of the two must agree with how they use it."""
    called = set(re.findall(r"\btexts\.(\w+)\(", SCRIPTS))
    with override("en"):
        filled = {key for key, sentence in script_texts().items() if "{" in sentence}
    assert called == filled & USED
