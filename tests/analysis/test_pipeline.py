import subprocess
import sys

import pytest

from analysis import evidence, files, pipeline
from analysis.__main__ import main
from tests.analysis import sweeps


def collect(sweep, *agents):
    return pipeline.collect(
        sweep.suite, sweep.receipts(*agents), sweep.results, sweep.runs, sweeps.NOW
    )


def contents(folder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def test_every_step_gives_the_same_bytes_again(whole, quick):
    seen = []
    for agents in (["ppo", "random"], ["random", "ppo"]):
        collect(whole, *agents)
        pipeline.aggregate(whole.suite, whole.results)
        seen.append(contents(whole.results / "little"))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 6


def test_an_equal_file_is_not_written_again(whole):
    paths = collect(whole, "ppo")
    before = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in collect(whole, "ppo")] == before


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    files.write(path, "old")

    def full(self, data):
        self.open("w").write("ne")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_a_missing_receipt_stops_the_collection_by_name(whole):
    with pytest.raises(ValueError, match="no receipt of 4 runs: little/dreamer_ppo/breakout/0"):
        collect(whole, "ppo", "dreamer_ppo")


def test_different_tasks_stop_the_collection(whole):
    whole.finished("ppo", "pong", 1, sweeps.level(3), task_hash="other")
    with pytest.raises(ValueError, match=r"task_hash: .*other \(1 runs\)"):
        collect(whole, "ppo")


def test_a_run_left_out_of_the_receipts_is_seen_in_the_coverage(whole):
    whole.finished("ppo", "pong", 1, sweeps.level(3), task_hash="other")
    receipts = [p for p in whole.receipts("ppo") if p.parts[-2:] != ("pong", "1.json")]
    pipeline.collect(whole.suite, receipts, whole.results, whole.runs, sweeps.NOW)
    found = files.read_table(whole.results / "little/coverage.csv")
    assert found["status"].value_counts().to_dict() == {"finished": 3, "stale": 1}
    assert len(files.read_table(whole.results / "little/scores.csv")) == 3


def test_a_partial_collection_scores_what_is_finished_and_draws_what_has_begun(partial, quick):
    agents = ["ppo", "random", "dreamer_ppo"]
    pipeline.collect_partial(partial.suite, agents, partial.results, partial.runs, sweeps.NOW)
    pipeline.aggregate(partial.suite, partial.results)
    found = evidence.read(partial.suite, partial.results)
    assert set(found.scores["agent"]) == {"ppo", "random"}
    assert set(found.curves["agent"]) == set(agents)
    assert len(found.coverage) == 12
    assert set(found.aggregates["agent"]) == {"ppo", "random"}


def test_games_without_a_human_score_are_named(tmp_path):
    suite = sweeps.suite(tmp_path, games=["pong", "air_raid"])
    assert evidence.normalisable(suite) == ["pong"]
    assert "air_raid" in evidence.not_normalised(suite)


def test_a_step_out_of_order_says_what_comes_first(sweep):
    with pytest.raises(ValueError, match="collect and aggregate come first"):
        pipeline.figures(sweep.suite, sweep.results)


def test_the_steps_work_from_the_command_line(whole, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(whole.root)
    listed = tmp_path / "receipts.txt"
    listed.write_text("\n".join(map(str, whole.receipts("ppo"))))
    suite = str(tmp_path / "suites/little.yaml")
    for words in (["collect", suite, f"@{listed}"], ["aggregate", suite], ["figures", suite]):
        assert main(words) == 0
    assert main(["report", suite]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "results/little/report.html"
    assert (whole.results / "little/report.html").is_file()


def test_a_wrong_suite_is_refused_with_exit_code_2(capsys):
    assert main(["aggregate", "atari100kk"]) == 2
    assert "did you mean 'atari100k'" in capsys.readouterr().err


def test_importing_the_room_imports_nothing_heavy(repository):
    code = "import analysis, sys; print({'pandas', 'matplotlib', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True)
    assert done.stdout.decode().strip() == "set()"
