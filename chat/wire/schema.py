"""The wire types as JSON Schema (docs/protocol.schema.json), and the socket as AsyncAPI 3 (docs/asyncapi.json).

``python -m chat.wire.schema`` prints the first, ``python -m chat.wire.schema asyncapi`` the second. Both come from the
types of ``protocol`` and ``errors``, so they can't differ from what the server does. Pure, like all of this rank.
"""

import json
import sys
from inspect import cleandoc
from typing import Any, get_args

import msgspec

from chat.wire import errors, protocol
from chat.wire.errors import ChatError, Close
from chat.wire.results import RESULTS

JsonObject = dict[str, Any]

SCHEMA_FILE = "protocol.schema.json"
TITLE = f"Hearth wire protocol, version {protocol.VERSION}"
ABOUT = (
    "Commands are closed: the server refuses fields that it does not know. Everything from the server is open: a "
    "client ignores fields and events that it does not know. What the types can't say is in docs/protocol.md."
)


def json_schema() -> JsonObject:
    """Everything that goes over the wire, as one JSON Schema (draft 2020-12)."""
    results = {each: result for each, result in RESULTS.items() if result is not None}
    types = [protocol.Command, protocol.Event, *results.values()]
    (command, event, *_), components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    # Two untagged structs can't share a union in msgspec. The scope of the command decides which of them it is.
    components["RoomPage"]["properties"]["rooms"]["items"] = {"anyOf": [_ref("RoomState"), _ref("Room")]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "description": ABOUT,
        "anyOf": [_ref("ClientFrame"), _ref("ServerFrame")],
        "x-results": {tag(each): _ref(result.__name__) for each, result in results.items()},
        "x-errors": {
            each.code: {"message": each.text, "retry": each.retry, "raised_as": each.__name__} for each in all_errors()
        },
        "x-close-codes": {str(code.value): {"name": code.name.lower(), "retry": _retry(code)} for code in Close},
        "$defs": {
            "ClientFrame": _frame("Command", maxItems=protocol.COMMANDS_PER_FRAME),
            "ServerFrame": _frame("Event"),
            "Command": command,
            "Event": event,
            **{name: _plain(schema) for name, schema in sorted(components.items())},
        },
    }


def asyncapi() -> JsonObject:
    """The socket as an AsyncAPI 3 document. Payloads refer to the JSON Schema beside it."""
    commands, events = get_args(protocol.Command), get_args(protocol.Event)
    replies = {"channel": _at("channels/chat"), "messages": [_at("channels/chat/messages/ReplyEvent")]}
    operations: JsonObject = {}
    for each in commands:
        operation = {
            "action": "receive",
            "channel": _at("channels/chat"),
            "messages": [_at(f"channels/chat/messages/{each.__name__}")],
        }
        operations[tag(each)] = operation if RESULTS[each] is None else {**operation, "reply": replies}
    operations["events"] = {
        "action": "send",
        "channel": _at("channels/chat"),
        "messages": [_at(f"channels/chat/messages/{each.__name__}") for each in events if tag(each) != "reply"],
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": TITLE,
            "version": f"{protocol.VERSION}.0.0",
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"site": {"host": "chat.example.com", "protocol": "wss"}},
        "channels": {
            "chat": {
                "address": "/ws/chat/",
                "messages": {each.__name__: _at(f"components/messages/{each.__name__}") for each in commands + events},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": operations,
        "components": {
            "messages": {
                each.__name__: {"name": tag(each), "payload": {"$ref": f"{SCHEMA_FILE}#/$defs/{each.__name__}"}}
                for each in commands + events
            }
        },
    }


def all_errors() -> list[type[ChatError]]:
    """Every error that the server may answer with, in the order of chat/wire/errors.py."""
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ChatError)]
    return [each for each in found if each is not ChatError]


def tag(kind: type[Any]) -> str:
    """The ``type`` of a command or event on the wire."""
    return str(kind.__struct_config__.tag)


def written(document: JsonObject) -> str:
    """The document as the text of its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _frame(name: str, **limits: int) -> JsonObject:
    return {"anyOf": [_ref(name), {"type": "array", "items": _ref(name), **limits}]}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/$defs/{name}"}


def _at(path: str) -> JsonObject:
    return {"$ref": f"#/{path}"}


def _plain(schema: JsonObject) -> JsonObject:
    """Take Python's notation out of a description, which comes from a docstring: a schema is read in any language."""
    if "description" in schema:
        # Python 3.13 leaves out the indentation by itself.
        schema["description"] = cleandoc(schema["description"]).replace("``", "`").replace("None", "null")
    return schema


def _retry(code: Close) -> bool:
    return errors.may_reconnect(code)


if __name__ == "__main__":
    sys.stdout.write(written(asyncapi() if sys.argv[1:] == ["asyncapi"] else json_schema()))
