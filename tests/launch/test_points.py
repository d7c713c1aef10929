"""Lines of a run folder become points, each once, whatever happens to the files."""

import json
import math
import random

import pytest

from launch import points
from launch.points import START, Mark, Point, Reader
from tests.launch.run_folders import CLOCKS, RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin()
    return folder


class Curves:
    """Collects points as MLflow would, and carries the marks from pass to pass."""

    def __init__(self, run):
        self.run, self.marks, self.points, self.problems = run, {}, [], []

    def read(self, ended=None, upto=math.inf):
        reader = Reader(self.run.path, self.marks, upto, ended, evaluation_episodes=2)
        for step in reader.steps():
            self.points += step.points
            self.marks = {**self.marks, step.file: step.mark}
        self.problems += reader.problems
        return self

    def shown(self):
        return sorted((p.key, p.step, p.value) for p in self.points if p.key not in CLOCKS)


def test_all_lines_become_points(run):
    run.play(1000)
    curves = Curves(run).read()
    assert curves.shown() == run.expected()
    assert len(run.expected()) == 2 * 10 + 4 * 5 + 3 * 2
    assert not curves.problems


def test_reading_at_any_moment_gives_the_same_points_as_reading_once(run):
    dice = random.Random(0)
    curves = Curves(run)
    for frame in range(100, 3001, 100):
        run.play(frame)
        if dice.random() < 0.4:
            curves.read()
    curves.read(ended=run.clock)
    assert sorted(curves.points) == sorted(Curves(run).read(ended=run.clock).points)


def test_a_line_that_is_not_complete_waits(run):
    run.play(200)
    line = json.dumps(run.metrics(400))
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(line[:50])
    curves = Curves(run).read()
    assert {point.step for point in curves.points} == {100, 200}
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(line[50:] + "\n")
    assert max(point.step for point in curves.read().points) == 400


def test_an_episode_waits_for_the_clock_and_takes_its_time(run):
    run.play(300)
    curves = Curves(run).read()
    returns = [point for point in curves.points if point.key == "episode/return"]
    assert [point.step for point in returns] == [100, 200]
    unix = run.lines("metrics.jsonl")[0]["unix"]
    assert [point.unix_ms for point in returns] == [1000 * unix + 0, 1000 * unix + 1]
    curves.read(ended=unix + 60)
    assert curves.points[-1].step == 300
    assert curves.points[-1].unix_ms == 1000 * (unix + 60) + 2


def test_equal_episodes_of_one_frame_stay_apart(run):
    run.play(200)
    twin = run.episode(200) | {"episode": 2}
    run._add("episodes.jsonl", twin)
    returns = [p for p in Curves(run).read().points if p.key == "episode/return" and p.step == 200]
    assert len(returns) == len(set(returns)) == 2


def test_cut_episodes_are_left_out(run):
    run.play(200)
    run._add("episodes.jsonl", run.episode(200) | {"end": "cut", "return": 99.0})
    run.play(400)
    curves = Curves(run).read()
    assert curves.shown() == run.expected()
    assert 99.0 not in [point.value for point in curves.points]


@pytest.mark.parametrize("back", [0, 400, 900])
@pytest.mark.parametrize("grown", [False, True])
def test_lines_that_are_played_again_give_no_second_point(run, back, grown):
    run.play(1000)
    curves = Curves(run).read()
    run.back(back)
    run.begin()
    if not grown:  # A pass while the files are shorter than they were.
        run.play(back + 100)
        curves.read()
    run.play(2000)
    curves.read()
    assert curves.shown() == run.expected()


def test_after_marks_are_lost_the_last_frame_is_enough(run):
    run.play(1000)
    curves = Curves(run).read()
    curves.marks = {name: START._replace(last=mark.last) for name, mark in curves.marks.items()}
    run.play(2000)
    curves.read()
    assert curves.shown() == run.expected()
    assert min(point.unix_ms for point in curves.points) > 1_700_000_000_000


def test_lines_after_the_limit_wait(run):
    run.play(1000)
    curves = Curves(run).read(upto=500)
    assert max(point.step for point in curves.points) == 500
    assert curves.read().shown() == run.expected()


def test_an_evaluation_that_is_not_complete_waits(run):
    run.play(600)
    path = run.path / "evaluation.jsonl"
    both = path.read_text()
    path.write_text(both.splitlines(keepends=True)[0])
    curves = Curves(run).read()
    assert not [point for point in curves.points if point.key.startswith("eval/")]
    path.write_text(both)
    assert curves.read().shown() == run.expected()


def test_a_damaged_line_stops_its_file_and_is_told(run):
    run.play(400)
    lines = (run.path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run.path / "metrics.jsonl").write_text(lines[0] + "\0\0\0\n" + lines[1])
    curves = Curves(run).read()
    assert [p.step for p in curves.points if p.key == "loss/policy"] == [200]
    assert curves.problems == [
        f"metrics.jsonl: the line that ends at byte {len(lines[0]) + 4} is damaged"
    ]


@pytest.mark.parametrize("line", ['{"frame": 300}', "[1]", '{"frame": 300, "unix": "x"}'])
def test_a_line_that_lacks_something_is_told_and_the_other_files_go_on(run, line):
    run.play(200)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    curves = Curves(run).read(ended=run.clock)
    assert len(curves.problems) == 1
    assert curves.problems[0].startswith("metrics.jsonl: ")
    assert {"episode/return", "loss/policy"} <= {point.key for point in curves.points}


def test_a_name_outside_the_vocabulary_is_left_out_and_told(run):
    run.play(200)
    line = run.metrics(400) | {"metrics": {"loss/policy": 1.0, "los/policy": 2.0}}
    run._add("metrics.jsonl", line)
    curves = Curves(run).read()
    assert "los/policy" not in {point.key for point in curves.points}
    assert [p.value for p in curves.points if p.key == "loss/policy"][-1] == 1.0
    assert "los/policy" in curves.problems[0]


def test_what_is_not_a_number_stays_and_null_is_no_point():
    line = {"frame": 8, "unix": 1.0, "metrics": {"loss/a": math.nan, "loss/b": None}}
    (point,) = points.metric_points(json.loads(json.dumps(line)))
    assert point.key == "loss/a"
    assert math.isnan(point.value)


def test_the_score_is_a_point_at_the_end_of_the_budget():
    receipt = {"frames": 400, "unix": 2.0, "score": {"value": -3.0}}
    assert points.score_points(receipt, 0.5) == (
        Point("score/final", -3.0, 400, 2000),
        Point("score/human_normalized", 0.5, 400, 2000),
    )
    assert points.score_points(receipt | {"score": {"value": None}}, None) == ()


def test_a_folder_without_lines_gives_nothing(run):
    assert Curves(run).read(ended=1.0).points == []


def test_marks_survive_json():
    mark = Mark(12, "0000abcd", 400, 1.5)
    assert Mark(**json.loads(json.dumps(mark._asdict()))) == mark
