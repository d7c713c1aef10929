"""Words for what is wrong in a file: key, what was seen, what is allowed, the nearest match.

What is allowed is read from the JSON schema of the record, so a rule is written once, in the
record's class.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pydantic

Nearest = Callable[[Any, Iterable[str]], str]
Schema = dict[str, Any]

LONG = 60  # Characters of a seen value that are shown.
KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text", list: "list"}
TYPES = {"integer": "a whole number", "number": "a number", "string": "text", "null": "null"}
BOUNDS = {
    "exclusiveMinimum": "above {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
    "pattern": "matching {}",
    "minLength": "of at least {} character",
}


def report(where: str, lines: list[str]) -> str:
    """Returns one message about one place: a line for one problem, a list for several."""
    if len(lines) == 1:
        return f"{where}: {lines[0]}"
    return "\n".join([f"{where}: {len(lines)} problems", *(f"- {line}" for line in lines)])


def describe(
    model: type[pydantic.BaseModel], error: pydantic.ValidationError, nearest: Nearest
) -> list[str]:
    """Returns one line for each problem that the record has with its data."""
    schema = model.model_json_schema()
    return [_line(schema, item, nearest) for item in error.errors(include_url=False)]


def _line(schema: Schema, item: Any, nearest: Nearest) -> str:
    if item["type"] == "extra_forbidden":
        return _unknown_key(schema, item, nearest)
    path, here = _walk(schema, item["loc"])
    key = f"{path}: " if path else ""
    if item["type"] in ("value_error", "assertion_error"):
        return f"{key}{item['ctx']['error']}"
    if item["type"].startswith("union_tag"):
        return _wrong_tag(f"{path}.", here["discriminator"], item, nearest)
    allowed = f"allowed is {_allowed(schema, here)}"
    if item["type"] == "missing":
        return f"{key}missing; {allowed}"
    seen = item["input"]
    if "enum" in here or "const" in here:
        allowed += nearest(seen, [str(choice) for choice in _choices(here)])
    return f"{key}saw {_seen(seen)}; {allowed}{_hint(seen, here)}"


def _wrong_tag(above: str, rule: Schema, item: Any, nearest: Nearest) -> str:
    """Says which mappings a union may be, by the value of the key that tells them apart."""
    tags, tag = list(rule["mapping"]), item["ctx"].get("tag")
    seen = "missing" if tag is None else f"saw {tag!r}"
    allowed = " or ".join(map(repr, tags)) + nearest(tag, tags)
    return f"{above}{rule['propertyName']}: {seen}; allowed is {allowed}"


def _unknown_key(schema: Schema, item: Any, nearest: Nearest) -> str:
    parent, here = _walk(schema, item["loc"][:-1])
    key = str(item["loc"][-1])
    known = _keys(here)
    path = f"{parent}.{key}" if parent else key
    allowed = f"allowed keys are {', '.join(known)}" if known else "no key is allowed here"
    return f"{path}: unknown key (saw {_seen(item['input'])}); {allowed}{nearest(key, known)}"


def _walk(schema: Schema, loc: Iterable[int | str]) -> tuple[str, Schema]:
    """Returns the dotted key that a location means and the schema found there."""
    path, here = "", _deref(schema, schema)
    for part in loc:
        branch = _branch(schema, here, part)
        if branch is not None:  # Pydantic names the member of a union, a reader of YAML does not.
            here = branch
        elif isinstance(part, int):
            path += f"[{part}]"
            here = _deref(schema, _entry(here, part))
        else:
            path += f".{part}" if path else part
            fields = here.get("properties", {})
            here = _deref(schema, fields.get(part, here.get("additionalProperties") or {}))
    return path, here


def _branch(schema: Schema, here: Schema, part: int | str) -> Schema | None:
    for member in (_deref(schema, m) for m in here.get("anyOf", here.get("oneOf", []))):
        tags = [f.get("const") for f in member.get("properties", {}).values()]
        if part == member.get("title") or part in tags or part == member.get("type"):
            return member
    return None


def _entry(here: Schema, index: int) -> Schema:
    fixed = here.get("prefixItems", [])
    return fixed[index] if index < len(fixed) else here.get("items") or {}


def _deref(schema: Schema, here: Any) -> Schema:
    if not isinstance(here, dict):  # `additionalProperties: true`, that is anything.
        return {}
    if "$ref" in here:
        return schema["$defs"][here["$ref"].rsplit("/", 1)[1]]
    return here


def _allowed(schema: Schema, here: Schema) -> str:
    members = here.get("anyOf", here.get("oneOf"))
    if members:
        return ", or ".join(_allowed(schema, _deref(schema, m)) for m in members)
    choices = _choices(here)
    if choices:
        return " or ".join(_plain(choice) for choice in choices)
    if here.get("type") == "boolean":
        return "true or false"
    if here.get("type") == "array":
        return _allowed_list(schema, here)
    if "properties" in here:
        return f"a mapping with the keys {', '.join(_keys(here))}"
    bounds = [words.format(here[key]) for key, words in BOUNDS.items() if key in here]
    kind = TYPES.get(here.get("type", ""), "a mapping" if here.get("type") else "a value")
    return " ".join([kind, " and ".join(bounds)]).strip()


def _allowed_list(schema: Schema, here: Schema) -> str:
    fixed = [_allowed(schema, _deref(schema, item)) for item in here.get("prefixItems", [])]
    if fixed:
        return f"a list of {len(fixed)} entries ({', '.join(fixed)})"
    entry = _allowed(schema, _deref(schema, here.get("items")))
    least = f" with at least {here['minItems']}" if "minItems" in here else ""
    return f"a list{least} (each {entry})"


def _keys(here: Schema) -> list[str]:
    """Returns the keys that a file may hold; a readOnly one is filled in by the program."""
    fields = here.get("properties", {})
    return [key for key, field in fields.items() if not field.get("readOnly")]


def _choices(here: Schema) -> list[Any]:
    return here.get("enum", [here["const"]] if "const" in here else [])


def _plain(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def _seen(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return _plain(value)
    text = repr(value)
    short = text if len(text) <= LONG else text[:LONG] + "..."
    return f"{short} ({KINDS.get(type(value), 'mapping')})"


def _hint(seen: Any, here: Schema) -> str:
    """Returns what YAML did to the value, where that explains the refusal."""
    number = here.get("type") in ("integer", "number")
    if isinstance(seen, str) and number and _is_number(seen):
        value = float(seen)
        whole = f"{int(value):_}" if value.is_integer() else None
        return f"; YAML reads {seen} as text, not as a number: write {whole or _dotted(seen)}"
    if isinstance(seen, bool):
        return "; YAML reads a bare yes, no, on or off as true or false: quote it to mean the word"
    if isinstance(seen, float) and here.get("type") == "integer" and seen.is_integer():
        return f"; write {int(seen):_}"
    return ""


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)  # Not NaN.
    except ValueError:
        return False


def _dotted(text: str) -> str:
    """Returns the number as YAML reads it: 4e-5 becomes 4.0e-5."""
    digits, mark, power = text.lower().partition("e")
    digits = digits if "." in digits else f"{digits}.0"
    return f"{digits}{mark}{power if power[:1] in '+-' else '+' + power}" if mark else digits
