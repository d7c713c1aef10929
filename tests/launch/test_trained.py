"""Agents come out of run folders as they were, and are measured without touching the run."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
from launch import checkpoint, measure, trained
from launch.ticker import Ticker
from suites.records import digest


def evaluate(run: Path, **changes: Any) -> tuple[str, dict[str, Any]]:
    asked = {"episodes": 6, "policy": "sampled", "weights": None, "seed": 0}
    text = measure.main(run, **asked | changes, device="cpu", workers=0)
    return text, json.loads(Path(text.splitlines()[-1].removeprefix("Kept in ")).read_text())


def contents(run: Path) -> dict[str, bytes]:
    files = [path for path in run.rglob("*") if path.is_file()]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def unfinished(run: Path) -> Path:
    """Makes the folder that of a run which has got as far as a checkpoint at frame 1234."""
    held = json.loads((run / "config.json").read_text())
    state = checkpoint.load(run / "weights" / "best.npz")
    loop = {"counters": {"frames": 1234}, "agent": state}
    tree = {"hash": held["hash"], "lengths": {}, "loop": loop}
    checkpoint.store(run / "checkpoints", "000000001234-0000000004", tree)
    for name in ("weights/final.npz", "receipt.json"):
        (run / name).unlink()
    return run


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.array_equal(one, other))


def refusal(run: Path, weights: str | None = None) -> str:
    with pytest.raises(ValueError) as found:
        trained.load(run, weights, "cpu")
    assert "\n" not in str(found.value)
    return str(found.value)


def test_an_evaluation_touches_nothing_of_the_run(run: Path) -> None:
    before = contents(run)
    evaluate(run)
    evaluate(run, policy="greedy", weights="best")
    after = contents(run)
    assert {name: data for name, data in after.items() if name in before} == before
    assert after.keys() - before.keys() == {
        "evaluations/final-sampled-6-0.json",
        "evaluations/best-greedy-6-0.json",
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_games(run: Path) -> None:
    evaluate(run)
    once = (run / "evaluations" / "final-sampled-6-0.json").read_bytes()
    evaluate(run)
    assert (run / "evaluations" / "final-sampled-6-0.json").read_bytes() == once
    _, other = evaluate(run, seed=1)
    assert other["measured"]["lengths"] != json.loads(once)["measured"]["lengths"]


def test_the_same_starts_are_played_whatever_the_agent_and_its_policy(run: Path) -> None:
    _, sampled = evaluate(run, policy="sampled", episodes=8)
    _, greedy = evaluate(run, policy="greedy", episodes=8)
    lengths = sampled["measured"]["lengths"]  # Of Catch: from the no-ops alone, one game each.
    assert greedy["measured"]["lengths"] == lengths
    assert sampled["measured_random"]["lengths"] == lengths
    _, other = evaluate(rewrite(run, {"agent": "ppo+float32"}), episodes=8)
    assert (other["agent"], other["measured"]["lengths"]) == ("ppo+float32", lengths)


def test_the_policy_that_was_asked_for_plays(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    played = agents.load("ppo").Agent.policy

    def policy(self: Any, carry: Any, obs: Any, mode: str, rng: Any) -> Any:
        seen.append(mode)
        return played(self, carry, obs, mode, rng)

    monkeypatch.setattr(agents.load("ppo").Agent, "policy", policy)
    for mode in ("greedy", "sampled"):
        seen.clear()
        evaluate(run, policy=mode)
        assert set(seen) == {mode}


@pytest.mark.parametrize("name", ["final", "best"])
def test_the_weights_that_were_asked_for_play(run: Path, name: str) -> None:
    found = trained.load(run, name, "cpu")
    assert found.weights.name == name
    assert same(found.agent.save(), checkpoint.load(run / "weights" / f"{name}.npz"))


def test_best_weights_tell_the_frame_of_the_best_evaluation(run: Path) -> None:
    lines = [(100, -1.0), (100, 0.0), (200, 1.0), (200, 0.5), (300, 1.0), (300, 0.5), (400, 0.7)]
    texts = [json.dumps({"frame": frame, "return": value}) for frame, value in lines]
    (run / "evaluation.jsonl").write_text("\n".join([*texts, '{"frame": 400, "ret']))
    assert trained.load(run, "best", "cpu").weights.frame == 200


def test_final_weights_are_the_default_and_tell_their_frame(run: Path) -> None:
    found = trained.load(run, None, "cpu")
    frames = json.loads((run / "receipt.json").read_text())["frames"]
    assert (found.weights.name, found.weights.frame, found.weights.note) == ("final", frames, "")
    assert str(found.weights) == f"final weights, frame {frames:,}"


def test_latest_weights_of_a_finished_run_are_the_final_ones_and_that_is_said(run: Path) -> None:
    weights = trained.load(run, "latest", "cpu").weights
    assert weights.name == "final"
    assert "has finished" in weights.note


def test_an_unfinished_run_plays_with_its_newest_checkpoint_and_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, result = evaluate(unfinished(run))
    assert "no final weights yet" in capsys.readouterr().err
    assert "latest weights (frame 1,234)" in text
    assert result["weights"] == {
        "name": "latest",
        "file": "checkpoints/000000001234-0000000004.npz",
        "frame": 1234,
    }
    assert "the run has not finished" in refusal(run, "final")


def test_a_damaged_newest_checkpoint_falls_back_and_that_is_said(run: Path) -> None:
    newest = unfinished(run) / "checkpoints" / "000000002000-0000000008.npz"
    newest.write_bytes(b"half")
    weights = trained.load(run, "latest", "cpu").weights
    assert weights.frame == 1234
    assert newest.name in weights.note


def test_a_checkpoint_that_a_live_run_has_replaced_meanwhile_is_not_missed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = next((unfinished(run) / "checkpoints").iterdir())
    load = checkpoint.load

    def moved_on(path: Path) -> dict:
        if path == old:
            old.replace(old.with_name("000000009999-0000000009.npz"))
        return load(path)

    monkeypatch.setattr(checkpoint, "load", moved_on)
    assert "999" in trained.load(run, "latest", "cpu").weights.file


def test_the_settings_of_the_run_count_and_not_those_of_today(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*asked: Any) -> None:
        raise AssertionError("the agent's YAML was read")

    monkeypatch.setattr(agents, "settings", changed)
    monkeypatch.setattr(agents, "configure", changed)
    assert trained.load(run, None, "cpu").run.agent == "ppo"


def test_a_run_is_evaluated_while_it_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-m", "launch.cli", "run", "ppo", "--suite", "smoke", "--game"]
    words += ["catch", "--seed", "0", "--frames", "4000000", "--tracking", "off", "--workers", "0"]
    words += ["--checkpoint-every", "0.1", "--out", str(run)]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        while not any(int(path.stem[:12]) for path in (run / "checkpoints").glob("*.npz")):
            assert process.poll() is None
            time.sleep(0.05)
        _, result = evaluate(run)
        assert result["weights"]["name"] == "latest"
        assert result["weights"]["frame"] > 0
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75, "the run was none the worse"
    finally:
        process.kill()
        process.wait()


def test_random_play_is_measured_with_as_many_episodes(run: Path) -> None:
    text, result = evaluate(run, episodes=40)
    random = result["measured_random"]
    assert len(random["returns"]) == len(result["measured"]["returns"]) == 40
    assert set(random["returns"]) == {-1.0, 1.0}
    assert random["mean"] == np.mean(random["returns"])
    assert result["table"]["random"] == -0.6
    assert "random, measured" in text
    assert "random, table" in text


def test_the_normalised_mean_is_between_the_scores_of_the_table(run: Path) -> None:
    text, result = evaluate(run)
    expected = (result["measured"]["mean"] + 0.6) / (1.0 + 0.6)
    assert result["human_normalized_mean"] == pytest.approx(expected)
    assert f"Human-normalised mean: {expected:.3f}" in text


def test_a_game_without_human_score_is_not_normalised(finished: Path) -> None:
    found = trained.load(finished, None, "cpu")
    found.run.__dict__["game"] = "air_raid"  # A frozen record, for once.
    lines = [{"return": 1.0, "length": 9, "end": "terminal"}]
    result = measure.summary(found, "greedy", 0, lines, lines)
    assert result["human_normalized_mean"] is None
    assert "no human score of air_raid" in measure.text(result)


def lines_of(returns: list[float], truncated: int = 0) -> list[dict[str, Any]]:
    ends = ["truncated"] * truncated + ["terminal"] * (len(returns) - truncated)
    return [
        {"return": value, "length": 10 * (index + 1), "end": end}
        for index, (value, end) in enumerate(zip(returns, ends, strict=True))
    ]


def test_statistics_are_those_of_the_textbook() -> None:
    found = measure.statistics(lines_of([1.0, 2.0, 3.0, 10.0], truncated=1))
    assert (found["mean"], found["min"], found["median"], found["max"]) == (4.0, 1.0, 2.5, 10.0)
    assert found["std"] == pytest.approx((50 / 3) ** 0.5)  # Of a sample: N - 1.
    assert found["length"] == {"mean": 25.0, "min": 10, "median": 25.0, "max": 40}
    assert found["truncated"] == 1


def test_one_episode_has_no_spread() -> None:
    found = measure.statistics(lines_of([3.0]))
    assert found["std"] is None
    assert found["mean_95"] is None
    assert found["mean"] == 3.0


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    low, high = measure.interval(values)
    error = values.std(ddof=1) / 20
    assert [low, high] == pytest.approx(
        [values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.1 * error
    )
    assert measure.interval(values) == [low, high]


def test_truncated_games_are_counted_and_qualify_the_comparison(run: Path) -> None:
    found = trained.load(run, None, "cpu")
    lines = lines_of([1.0, -1.0, 1.0], truncated=2)
    text = measure.text(measure.summary(found, "sampled", 0, lines, lines_of([1.0] * 3)))
    assert "2 of 3 truncated at 400" in text
    assert "2 of 3 games were cut short" in text
    assert "0 of 3 truncated" in text


def test_a_result_that_cannot_be_kept_is_still_told(run: Path) -> None:
    (run / "evaluations").write_text("in the way")
    asked = {"episodes": 2, "policy": "sampled", "weights": None, "seed": 0}
    text = measure.main(run, **asked, device="cpu", workers=0)
    assert "random, measured" in text
    assert "Not kept" in text


def test_a_folder_that_is_not_there_is_refused_with_the_nearest(run: Path) -> None:
    assert refusal(run.with_name("runn")).endswith("there is no such folder; did you mean 'run'?")
    assert "no such folder" in refusal(run.parent / "missing" / "run")


def test_a_folder_of_runs_is_refused_with_the_runs_in_it(run: Path, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "smoke" / "ppo" / "catch" / "0"
    shutil.copytree(run, place)
    assert str(place) in refusal(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    assert "runs/<suite>/<agent>/<game>/<seed>" in refusal(tmp_path / "empty")


def rewrite(run: Path, change: dict[str, Any]) -> Path:
    """Changes config.json as another version would have written it: with a hash that fits."""
    file = run / "config.json"
    held = json.loads(file.read_text()) | change
    skipped = ("hash", "task_hash", "view_hash", "runtime")
    held["hash"] = digest({key: value for key, value in held.items() if key not in skipped})
    file.write_text(json.dumps(held))
    return run


def test_a_configuration_of_another_version_is_refused(run: Path) -> None:
    text = refusal(rewrite(run, {"colour": "blue", "seed": None}))
    assert "config.json" in text
    assert "colour" in text
    assert "another version" in text


def test_settings_that_the_agent_no_longer_knows_are_refused(run: Path) -> None:
    held = json.loads((run / "config.json").read_text())["agent_config"]
    text = refusal(rewrite(run, {"agent_config": held | {"old_setting": 1}}))
    assert "old_setting" in text


def test_a_configuration_changed_by_hand_is_refused(run: Path) -> None:
    file = run / "config.json"
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 1'))
    assert "not what its hash" in refusal(run)
    file.write_text("{ half")
    assert "not JSON" in refusal(run)


def test_a_run_without_weights_says_why_there_are_none(run: Path) -> None:
    shutil.rmtree(run / "weights")
    assert "has no weights yet" in refusal(run)
    assert "no evaluation has ended yet" in refusal(run, "best")
    (run / "error.json").write_text(json.dumps({"error": "The disk is full\nvery full"}))
    assert "it failed: The disk is full; very full" in refusal(run, "final")


def test_damaged_or_foreign_weights_are_refused(run: Path) -> None:
    final = run / "weights" / "final.npz"
    whole = final.read_bytes()
    final.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(run)
    checkpoint.save(final, {})
    assert "do not fit ppo" in refusal(run)
    held = json.loads((run / "config.json").read_text())["agent_config"]
    final.write_bytes(whole)
    assert "do not fit ppo" in refusal(rewrite(run, {"agent_config": held | {"features": 8}}))


def test_a_checkpoint_of_another_configuration_is_refused(run: Path) -> None:
    file = next((unfinished(run) / "checkpoints").iterdir())
    checkpoint.save(file, checkpoint.load(file) | {"hash": "0" * 16})
    assert "another configuration" in refusal(run)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_live_line_on_a_terminal_and_few_plain_lines_elsewhere() -> None:
    times = [0.0, 0.1, 1.0, 1.1, 2.0, 40.0]
    screen, file = Screen(), io.StringIO()
    for out in (screen, file):
        clock = iter(times)
        with Ticker(out, lambda clock=clock: next(clock)) as ticker:
            for _ in times[1:]:
                ticker.show(lambda seconds: f"after {seconds:.0f} s")
    assert screen.getvalue().split("\r") == [
        "", "after 1 s", "after 2 s", "after 40 s", " " * len("after 40 s"), ""
    ]  # fmt: skip
    assert file.getvalue() == "after 40 s\n"


def test_progress_tells_when_the_evaluation_will_end(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.ticker.PLAIN_S", 0.0)
    evaluate(run, episodes=20)
    said = capsys.readouterr().err
    assert "ppo on catch  0/20 episodes" in said
    assert "random play on catch" in said
    assert "ETA 0:0" in said
