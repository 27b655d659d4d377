"""The published schemas match the code, and accept and refuse the same frames as the server."""

import json
from typing import Any

import msgspec
import pytest

from chat.wire import protocol, schema
from chat.wire.results import RESULTS
from tests.docs.pages import DOCS, ROOT

SCHEMA = schema.json_schema()
EXAMPLES = {
    name: json.loads((ROOT / f"tests/wire/{name}.json").read_text())["cases"] for name in ("commands", "events")
}
CLIENT_ID = "0b6e0f0a-2f39-4a52-9f0f-5b1a5b0f3d11"


@pytest.mark.parametrize(
    ("file", "document", "argument"),
    [("protocol.schema.json", schema.json_schema, ""), ("asyncapi.json", schema.asyncapi, " asyncapi")],
)
def test_the_published_file_is_up_to_date_with_the_types(file: str, document: Any, argument: str) -> None:
    again = f"python -m chat.wire.schema{argument} > docs/{file}"
    assert (DOCS / file).read_text(encoding="utf-8") == schema.written(document()), again


def test_every_command_has_its_result() -> None:
    assert set(RESULTS) == set(protocol.Command.__args__)
    answered = {each for each, result in RESULTS.items() if result is not None}
    assert answered == {each for each in RESULTS if "ref" in each.__struct_fields__}


def test_every_reference_can_be_resolved() -> None:
    asyncapi = schema.asyncapi()
    for reference in references(SCHEMA):
        assert resolved(SCHEMA, reference) is not None
    for reference in references(asyncapi):
        file, _, path = reference.partition("#")
        assert resolved(SCHEMA if file else asyncapi, f"#{path}") is not None


@pytest.mark.parametrize("case", EXAMPLES["commands"], ids=lambda case: case["name"])
def test_the_schema_accepts_the_commands_that_the_server_accepts(case: Any) -> None:
    assert fits(case["frame"], "ClientFrame")


@pytest.mark.parametrize("case", EXAMPLES["events"], ids=lambda case: case["name"])
def test_the_schema_accepts_the_events_that_a_client_accepts(case: Any) -> None:
    frame = case["frame"] if isinstance(case["frame"], list) else [case["frame"]]
    known = [each for each in frame if protocol.decode_events(json.dumps(each))]
    assert fits(known, "ServerFrame")


@pytest.mark.parametrize(
    "command",
    [
        {"type": "ping"},
        {"type": "ping", "ref": 0},
        {"type": "ping", "ref": 1, "ts": "x" * 65},
        {"type": "ping", "ref": 1, "more": 1},
        {"type": "dance", "ref": 1},
        {"type": "sync", "ref": 1, "rooms": {"1": {"epoch": "e"}}},
        {"type": "room.create", "ref": 1, "name": "Lobby", "kind": "direct"},
        {"type": "message.post", "ref": 1, "room": 1, "client_id": CLIENT_ID, "body": "x"},
        {"type": "history", "ref": 1, "room": "1", "limit": 0},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_commands_that_the_server_refuses(command: Any) -> None:
    (decoded,) = protocol.decode(json.dumps(command), max_bytes=65536)
    assert isinstance(decoded, protocol.Rejected)
    assert not fits(command, "ClientFrame")


def test_results_are_in_the_schema_by_command() -> None:
    assert SCHEMA["x-results"]["message.post"] == {"$ref": "#/$defs/PostResult"}
    page = {"rooms": [{**msgspec.to_builtins(LOBBY), "surprise": 1}], "more": False}
    assert fits(page, "RoomPage")
    assert not fits({"rooms": [{"id": "1"}], "more": False}, "RoomPage")


LOBBY = protocol.Room("1", "lobby", "Lobby", "open", "", False, 2, None)


# A validator for the part of JSON Schema that ours uses. An unknown keyword raises a KeyError.


def fits(value: Any, name: str) -> bool:
    return valid(value, {"$ref": f"#/$defs/{name}"})


def valid(value: Any, rules: dict[str, Any]) -> bool:
    return all(CHECKS[keyword](value, given, rules) for keyword, given in rules.items())


TYPES: dict[str, Any] = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}


def is_of(value: Any, kind: str) -> bool:
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def has_good_extras(value: Any, rule: Any, rules: dict[str, Any]) -> bool:
    extras = [inner for name, inner in value.items() if name not in rules.get("properties", {})]
    return not extras if rule is False else all(valid(inner, rule) for inner in extras)


CHECKS: dict[str, Any] = {
    "$ref": lambda value, given, _: valid(value, resolved(SCHEMA, given)),
    "type": lambda value, given, _: is_of(value, given),
    "enum": lambda value, given, _: value in given,
    "anyOf": lambda value, given, _: any(valid(value, each) for each in given),
    "required": lambda value, given, _: all(name in value for name in given),
    "properties": lambda value, given, _: all(
        valid(value[name], rule) for name, rule in given.items() if name in value
    ),
    "additionalProperties": has_good_extras,
    "propertyNames": lambda value, given, _: all(valid(name, given) for name in value),
    "items": lambda value, given, _: all(valid(each, given) for each in value),
    "minimum": lambda value, given, _: value >= given,
    "maximum": lambda value, given, _: value <= given,
    "minLength": lambda value, given, _: len(value) >= given,
    "maxLength": lambda value, given, _: len(value) <= given,
    "maxItems": lambda value, given, _: len(value) <= given,
    "format": lambda value, given, _: given == "uuid" and len(value) == len(CLIENT_ID),
    "title": lambda *_: True,
    "description": lambda *_: True,
    "default": lambda *_: True,
    "discriminator": lambda *_: True,
}


def resolved(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def references(document: Any) -> list[str]:
    if isinstance(document, list):
        return [found for each in document for found in references(each)]
    if not isinstance(document, dict):
        return []
    here = [document["$ref"]] if isinstance(document.get("$ref"), str) else []
    return here + references(list(document.values()))
