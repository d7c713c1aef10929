"""Records: refusals that name everything, hashes that hold, YAML without surprises."""

import json
import os
import subprocess
import sys
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from suites.records import Record, build, digest, nearest, read_scalar, read_yaml


class Near(Record):
    kind: Literal["near"]
    steps: int


class Far(Record):
    kind: Literal["far"]
    miles: float


class Trip(Record):
    goal: Annotated[Near | Far, Field(discriminator="kind")]
    stops: tuple[int, ...]
    names: dict[str, int]
    rate: float | None


TRIP = {"goal": {"kind": "near", "steps": 3}, "stops": [1], "names": {"a": 1}, "rate": None}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def refusal(**changes) -> str:
    with pytest.raises(ValueError) as caught:
        build(Trip, TRIP | changes, "trip.yaml")
    return str(caught.value)


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def test_lists_are_fine_where_a_record_has_a_tuple():
    assert build(Trip, TRIP, "trip.yaml").stops == (1,)


def test_a_record_is_frozen_and_strict():
    record = build(Trip, TRIP, "trip.yaml")
    with pytest.raises(ValidationError):
        record.stops = ()
    assert "stops[0]: saw '1' (text)" in refusal(stops=["1"])


def test_one_problem_is_one_line():
    assert refusal(stops=3).splitlines() == [
        "trip.yaml: stops: saw 3 (whole number); allowed is a list (each a whole number)"
    ]


def test_several_problems_are_a_list_under_one_heading():
    lines = refusal(stops=3, names=[]).splitlines()
    assert lines[0] == "trip.yaml: 2 problems"
    assert [line[:7] for line in lines[1:]] == ["- stops", "- names"]


def test_the_member_of_a_union_does_not_show_in_the_key():
    assert "goal.steps: saw 'x'" in refusal(goal={"kind": "near", "steps": "x"})
    assert "goal.steps: missing" in refusal(goal={"kind": "near"})
    message = refusal(goal={"kind": "far", "milse": 2.0})
    assert "goal.milse: unknown key (saw 2.0 (number)); allowed keys are kind, miles" in message
    assert message.endswith("did you mean 'miles'?")


def test_a_union_that_is_told_apart_by_a_key_asks_for_this_key():
    assert "goal.kind: missing; allowed is 'far' or 'near'" in refusal(goal={"steps": 3})
    message = refusal(goal={"kind": "naer"})
    assert message == (
        "trip.yaml: goal.kind: saw 'naer'; allowed is 'far' or 'near'; did you mean 'near'?"
    )


def test_the_value_of_a_free_key_is_checked():
    assert "names.b: saw 'two' (text); allowed is a whole number" in refusal(names={"b": "two"})


def test_either_of_two_types_is_said_to_be_allowed():
    assert "a number, or null" in refusal(rate="fast")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_as_one(value):
    assert "rate" in refusal(rate=value)


def test_a_long_value_is_cut_short():
    assert len(refusal(stops="x" * 10_000)) < 300


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("pogn", "pong"), ("Pong", "pong"), ("PONGG", "pong"), ("ms_packman", "ms_pacman"),
        ("mspacman", "ms_pacman"), ("invaders", "space_invaders"), ("breakuot", "breakout"),
        ("pingpong", None), ("chess", None), ("", None), ("_", None), (3, None), (None, None),
    ],
)  # fmt: skip
def test_the_nearest_match_is_sensible_or_not_there(word, match):
    choices = ["breakout", "king_kong", "ms_pacman", "pong", "space_invaders", "yars_revenge"]
    assert nearest(word, choices) == (f"; did you mean {match!r}?" if match else "")


def test_nothing_is_near_where_there_is_no_choice():
    assert nearest("pong", []) == ""


@given(VALUES)
def test_a_hash_survives_json_and_another_order_of_keys(value):
    assert digest(json.loads(json.dumps(value))) == digest(value) == digest(backwards(value))


@given(VALUES, VALUES)
def test_equal_hashes_mean_equal_content(left, right):
    def typed(value):
        return json.dumps(value, sort_keys=True)

    same = typed(left) == typed(right)
    assert same <= (digest(left) == digest(right))
    if digest(left) == digest(right):
        assert left == right


def test_a_hash_tells_true_from_one_and_text_from_number():
    assert len({digest(value) for value in (True, 1, "1", [1], {"1": 1}, None, 1.5)}) == 7


def test_a_whole_number_has_one_hash_with_and_without_its_point():
    assert digest({"rate": 1.0, "list": [2.0]}) == digest({"rate": 1, "list": [2]})


def test_a_record_and_its_content_have_one_hash():
    assert digest(build(Trip, TRIP, "trip.yaml")) == digest(TRIP)


def test_a_hash_is_the_same_in_every_process():
    words = [sys.executable, "-c", f"from suites.records import digest; print(digest({TRIP!r}))"]
    for seed in ("0", "1"):
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
        assert done.stdout.strip() == digest(TRIP)


def test_a_hash_stays_what_it_was():
    assert digest({"b": [1, 2.5], "a": None}) == "e57f5d37865437a8"  # Stored with every result.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", r"broken YAML at line 2, column 1: the key 'a' is there twice"),
        ("a: {b: 1, b: 2}\n", r"line 1.*'b' is there twice"),
        ("a: 1\nno: 2\n", r"line 2.*'no' is read as False; quote it"),
        ("a: 1\n3: 2\n", r"line 2.*'3' is read as 3; quote it"),
        ("a: [1\nb: 2\n", r"broken YAML at line 2"),
        ("a: !!python/object:os.system x\n", r"broken YAML at line 1"),
        ("a: \x00\n", r"broken YAML"),
    ],
)
def test_yaml_that_would_lose_or_change_something_is_refused(text, said, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match=r"x\.yaml: broken YAML"):
        read_yaml(path)


def test_a_date_stays_the_text_that_it_is(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("when: 2026-05-01\n")
    assert read_yaml(path) == {"when": "2026-05-01"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1.0e-3", 1e-3),
        ("1e-3", "1e-3"),
        ("true", True),
        ("null", None),
        ("gray", "gray"),
    ],
)
def test_a_scalar_is_what_yaml_reads(text, value):
    assert read_scalar(text, "--set x") == value


@pytest.mark.parametrize("text", ["[1, 2]", "{a: 1}", "a: 1", "[1"])
def test_more_than_a_scalar_is_refused(text):
    with pytest.raises(ValueError, match="--set x"):
        read_scalar(text, "--set x")
