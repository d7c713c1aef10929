"""Metric names: what is refused, and that docs/metrics.md says the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from launch import vocabulary

ROOT = Path(__file__).parents[2]


def test_every_listed_name_is_known_and_listed_once():
    names = [metric.name for metric in vocabulary.METRICS]
    assert len(set(names)) == len(names) > 20
    assert [vocabulary.unknown(name) for name in names] == [""] * len(names)


def test_every_group_has_a_leaf_and_every_leaf_a_group():
    assert {metric.name.partition("/")[0] for metric in vocabulary.METRICS} == {*vocabulary.GROUPS}


@pytest.mark.parametrize("name", ["loss/anything_new", "train/scale_2", "time/updates"])
def test_a_name_of_a_group_is_accepted(name):
    vocabulary.check({name: 1.0})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("los/policy", "did you mean 'loss/policy'"),
        ("system/cpu", "is in no group"),
        ("policy", "is in no group"),
        ("loss", "must be 'group/leaf'"),
        ("loss/", "must be 'group/leaf'"),
        ("loss/Policy", "must be 'group/leaf'"),
        ("loss/a/b", "must be 'group/leaf'"),
        ("train/a=b", "must be 'group/leaf'"),
        ("time/frames_per_seconds", "did you mean 'time/frames_per_second'"),
        ("replay/depth", "Leaves of replay/: size, ratio, age."),
        ("episode/return", "it is read from episodes.jsonl"),
        ("eval/return", "it is read from evaluation.jsonl"),
        ("score/final", "it is read from receipt.json"),
    ],
)
def test_a_name_outside_the_vocabulary_is_refused_with_the_reason(name, said):
    with pytest.raises(ValueError, match=name) as caught:
        vocabulary.check([name])
    assert said in str(caught.value)


def test_all_problems_are_told_in_one_message():
    with pytest.raises(ValueError, match=r"(?s)first.*second") as caught:
        vocabulary.check(["first/a", "loss/policy", "second/b"])
    assert "loss/policy" not in str(caught.value)


def test_mlflow_allows_every_name_of_the_shape_that_is_accepted():
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789_-.:/ ")  # MLflow 3.17, lower case.
    assert all(set(metric.name) <= allowed for metric in vocabulary.METRICS)
    assert vocabulary.unknown("loss/a(b)")


def test_the_documentation_shows_exactly_this_vocabulary():
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    shown = text.partition("## Groups\n\n")[2]
    assert shown == vocabulary.markdown(), "put the output of vocabulary.markdown() there"


def test_checking_names_needs_nothing_but_the_standard_library():
    code = (
        "import sys; from launch import vocabulary; vocabulary.check(['loss/policy']);"
        "print([m for m in ('numpy', 'torch', 'mlflow', 'pydantic', 'yaml') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
