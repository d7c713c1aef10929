"""Records: what is written in YAML, checked once, frozen, with one name for equal content.

A record has no defaults: the class says what a value means and which are allowed, the YAML holds
the value and its source, each once. `build` refuses everything that is wrong at the same time.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from suites import problems

R = TypeVar("R", bound=pydantic.BaseModel)

SIMILAR = 0.75  # 'pogn' is this near to 'pong'; 'pingpong' is 0.71 from 'king_kong'.


class Record(pydantic.BaseModel):
    """A frozen mapping that refuses unknown keys, missing keys and values of another type."""

    model_config = pydantic.ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False
    )


def build(model: type[R], data: Any, where: str) -> R:
    """Returns `data` as a record.

    Args:
        model: the class of the record.
        data: what a YAML or JSON file holds.
        where: what a message calls the place that `data` comes from, usually a file.

    Raises:
        ValueError: one message with every problem: where, key, what was seen, what is allowed
            and the nearest match.
    """
    try:
        # By way of JSON, where a strict tuple may be written as a list.
        return model.model_validate_json(json.dumps(data, default=str))
    except pydantic.ValidationError as error:
        lines = problems.describe(model, error, nearest)
    raise ValueError(problems.report(where, lines))


def nearest(word: Any, choices: Iterable[str]) -> str:
    """Returns "; did you mean 'pong'?", or nothing where no choice looks like the word.

    A choice looks like it when most letters agree in order, when it has the same letters ('rnu'
    means 'run'), or when the word is one of its parts ('invaders' means 'space_invaders').
    """
    plain = {choice.lower(): choice for choice in choices}
    said = str(word).lower()
    found = difflib.get_close_matches(said, list(plain), n=1, cutoff=SIMILAR)
    found += [choice for choice in plain if sorted(choice) == sorted(said)]
    found += [choice for choice in plain if f"_{said}_" in f"_{choice.replace('.', '_')}_"]
    return f"; did you mean {plain[found[0]]!r}?" if found else ""


def digest(value: Any) -> str:
    """Returns 16 hexadecimal digits that name the content, whatever the order of its keys."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def canonical(value: Any) -> Any:
    """Returns plain values; 1.0 becomes 1, because YAML may say either for the same number."""
    if isinstance(value, pydantic.BaseModel):
        return canonical(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_yaml(path: Path) -> Any:
    """Returns what a YAML file holds.

    Raises:
        ValueError: there is no such file, it is not YAML (with the line), a key is there twice or
            is not text.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    return _parse(path.read_bytes(), str(path))


def read_scalar(text: str, where: str) -> str | int | float | bool | None:
    """Returns one value as YAML reads it: 3, 1.0e-3, true, null or a word.

    Raises:
        ValueError: it is not YAML, or more than one value.
    """
    value = _parse(text, where)
    if isinstance(value, list | dict):
        raise ValueError(f"{where}: saw {text!r}; allowed is a single value, not a list or mapping")
    return value


def _parse(text: str | bytes, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "unknown line"
        raise ValueError(f"{where}: broken YAML at {place}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{where}: broken YAML: {error}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Refuses the keys that YAML would drop or change.

    Leaves as text, hence to be refused where a number is due, what YAML 1.1 would silently take for
    another number: 0400 (for it 256) and 30:00 (1800). Dates stay text as well.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                said = f"the key {key_node.value!r} is read as {key!r}; quote it to make it text"
                raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
            if key in seen:
                said = f"the key {key!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$")
FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$|[-+]?\.inf$|\.nan$"
)
CHANGED = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "int", "float"))

_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in pairs if tag not in CHANGED]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(CHANGED[1], INT, list("-+0123456789"))
_Loader.add_implicit_resolver(CHANGED[2], FLOAT, list("-+.0123456789"))
