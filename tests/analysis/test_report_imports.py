"""Imports in the report: beside ours, never among them, with the seeds that lack a score."""

import re

import pytest

from analysis import brought, files, report
from analysis.imported import main as importing
from tests.analysis import sweeps

WISH = importing.Wish(
    format=None, method=None, kind=None, frames_per_step=None, skip_unknown=False, force=True,
    max_mib=8,
)  # fmt: skip
LABEL = "ppo (imported)"


def bring(sweep: sweeps.Sweep, name: str = "ppo", games=("pong", "breakout")) -> None:
    """Imports five seeds a game; seed 4 of pong has no point in the window."""
    lines = ["agent,game,seed,frame,return"]
    for game in games:
        for seed in range(5):
            last = 20_000 if (game, seed) == ("pong", 4) else 40_000
            lines += [f"x,{game},{seed},{f},{seed}" for f in range(2_000, last + 1, 2_000)]
    file = sweep.root / "theirs.csv"
    file.write_text("\n".join(lines) + "\n")
    sweep.results.mkdir(exist_ok=True)
    importing.run(str(file), sweep.suite, name, sweep.results, WISH, 0.0, None, "")


def build(sweep: sweeps.Sweep, partial: bool = True, agents=None) -> str:
    path = report.build(sweep.suite, sweep.results, sweep.runs, partial, agents, sweeps.NOW)
    return path.read_text()


def part(text: str, anchor: str) -> str:
    return text[text.index(f'id="{anchor}"') :].partition("</section>")[0]


def table(sweep: sweeps.Sweep, name: str):
    return files.read_table(sweep.results / "little" / f"{name}.csv")


def test_a_report_of_imports_alone_needs_no_run_of_ours(sweep, quick):
    bring(sweep)
    text = build(sweep)
    assert "No run of ours: everything here is imported." in text
    assert LABEL in part(text, "aggregates")
    assert text == build(sweep, partial=False)


def test_seeds_without_a_score_are_counted_for_the_game_and_listed(sweep, quick):
    bring(sweep)
    text = build(sweep)
    assert "4 of 5 seeds" in part(text, "games")
    covered = part(text, "coverage")
    assert "4 of 5" in covered and "5 of 5" in covered
    assert "1 imported run without a point in the score window" in covered
    assert f"{LABEL}/pong/4" in covered
    assert "no point of the source is in last_of_4_bins" in covered


def test_a_name_that_an_agent_of_ours_has_stays_another_one(whole, quick):
    build(whole)
    before = {name: table(whole, name) for name in ("scores", "aggregates", "profiles", "games")}
    bring(whole)
    build(whole)
    for name, old in before.items():
        new = table(whole, name)
        assert set(new["agent"]) == {"ppo", "random", LABEL}
        kept = brought.ours(new).reset_index(drop=True)
        assert kept.to_csv() == old.astype(kept.dtypes).to_csv(), name


def test_an_import_of_a_single_game_does_not_move_our_aggregates(whole, quick):
    bring(whole, "theirs", games=["pong"])
    build(whole)
    found = table(whole, "aggregates").drop_duplicates("agent").set_index("agent")
    assert found["games"].to_dict() == {"ppo": 2, "random": 2, "theirs (imported)": 1}
    assert "no score in breakout: other games than ours" in found.loc["theirs (imported)", "note"]


def test_a_mixture_of_our_own_runs_is_refused_with_imports_there(whole, quick):
    bring(whole)
    whole.finished("ppo", "pong", 1, sweeps.level(3), view_hash="other")
    with pytest.raises(ValueError, match=r"view_hash of ppo: .*other"):
        build(whole, partial=False)


def test_another_window_is_said_at_the_top_and_with_the_import(whole, quick):
    bring(whole)
    path = whole.results / "little/imports/ppo/import.json"
    path.write_text(path.read_text().replace("last_of_4_bins", "last_of_2_bins"))
    text = build(whole)
    said = "window (which episodes make a score): ours last_of_4_bins, theirs last_of_2_bins"
    assert f"{LABEL} is not under our terms: {said}." in text.partition("<h2>Aggregates")[0]
    assert "theirs.csv (csv)" in part(text, "imports")
    assert "ours last_of_4_bins, theirs last_of_2_bins" in part(text, "imports")
    scores = table(whole, "scores").groupby("agent")["window"].unique().str[0]
    assert scores.to_dict() == {
        "ppo": "last_of_4_bins", "random": "last_of_4_bins", LABEL: "last_of_2_bins",
    }  # fmt: skip


def test_an_import_has_curves_and_runs_of_its_own(whole, quick):
    bring(whole)
    text = build(whole)
    assert f"{LABEL}, 5 seeds" in part(text, "curves")
    game = text[text.index('id="game-pong"') :].partition("</details>")[0]
    assert len(re.findall(rf'<th scope="row">{re.escape(LABEL)}</th>', game)) == 5


def test_asked_for_by_name_both_of_a_name_are_shown_and_others_are_not(whole, quick):
    bring(whole)
    bring(whole, "theirs")
    build(whole, agents=["ppo"])
    assert set(table(whole, "coverage")["agent"]) == {"ppo", LABEL}
    build(whole, agents=["theirs"])
    assert set(table(whole, "coverage")["agent"]) == {"theirs (imported)"}
