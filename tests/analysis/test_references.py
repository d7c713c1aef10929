"""Published scores: all there, each from one source, doubts flagged, aggregates as printed."""

import csv
import io
import re
import statistics
from pathlib import Path

import pytest

import suites
from analysis import references
from analysis.references import baselines, tables, text
from suites import games

DOCS = Path(__file__).parents[2] / "docs" / "references.md"
EVERY = [(suite, each.name) for suite in tables.SUITES for each in references.methods(suite)]

# Aggregates that papers print and their own tables do not give, each with ours.
SLIPS = {
    ("dart", "mean"): 1.057,
    ("dreamerv3_2023_burchim", "median"): 0.536,
    ("dreamerv3_2023_in_diamond", "mean"): 1.130,
    ("efficientzero_v2", "mean"): 2.680,
    ("efficientzero_v2", "median"): 1.235,
    ("storm", "median"): 0.582,
    ("rainbow_noop", "median"): 2.310,
}

# (suite, method, game): the default, and what others print; each of them flagged.
CONFLICTS = {
    ("atari100k", "dreamerv3_2023", "up_n_down"): (7567.0833, {7667, 7600, 9234}),
    ("atari100k", "dreamerv3_2023", "chopper_command"): (410, {420}),
    ("atari100k", "dreamerv3_2023", "boxing"): (78.05, {52.7}),
    ("atari100k", "dreamerv3_2023_in_diamond", "up_n_down"): (9234, set()),
    ("atari100k", "dreamerv3", "up_n_down"): (46910, set()),
    ("atari100k", "efficientzero", "qbert"): (13781.9, {14448.5}),
    ("atari100k", "storm", "freeway"): (34, {0}),
    ("atari100k", "storm_repo", "freeway"): (0, {34}),
    ("atari100k", "iris", "crazy_climber"): (59324.2, {59234}),
    ("atari100k", "random", "kung_fu_master"): (258.5, {256}),
    ("atari100k", "random", "alien"): (227.8, {228.8}),
    ("atari57", "random", "video_pinball"): (16256.9, {0}),
    ("atari57", "random", "jamesbond"): (29, {7}),
    ("atari57", "human", "jamesbond"): (302.8, {29}),
    ("atari57", "dqn_noop", "jamesbond"): (768.5, {302.8}),
    ("atari57", "reactor_noop", "jamesbond"): (14524, {19809}),
    ("atari57", "double_dqn_noop", "zaxxon"): (10163, set()),
    ("atari57", "rainbow_noop", "riverraid"): (22920.8, set()),
    ("atari57", "dreamerv3_in_discorl", "beam_rider"): (31073, {37073}),
    ("atari57", "dqn_dopamine", "alien"): (None, {2479.45}),
}

# Flags of a method as a whole.
DOUBTS = {
    ("atari100k", "delta_iris_repo"): "sorted_integers",
    ("atari100k", "delta_iris"): "repository_differs",
    ("atari100k", "dreamerv3"): "last_bin",
    ("atari100k", "efficientzero_in_tcsr"): "rerun",
    ("atari100k", "efficientzero_v2"): "printed_differs",
    ("atari100k", "curl"): "optimistic",
    ("atari100k", "spr"): "optimistic",
    ("atari100k", "curl_100_runs"): "reevaluated",
    ("atari100k", "dart"): "second_hand",
    ("atari100k", "twister"): "cells_missing",
    ("atari57", "muzero"): "different_runs",
    ("atari57", "muzero_in_discorl"): "different_runs",
    ("atari57", "record"): "records_disagree",
}


def everything() -> list[tables.Published]:
    return [each for pair in EVERY for each in references.published(*pair, alternatives=True)]


@pytest.mark.parametrize(("suite", "methods", "rows"), [("atari100k", 42, 1065),
                                                        ("atari57", 28, 1577)])  # fmt: skip
def test_every_published_method_is_there_with_every_score(suite, methods, rows):
    names = [each.name for each in references.methods(suite)]
    assert len(names) == len(set(names)) == methods
    assert sum(len(references.published(suite, name)) for name in names) == rows


def test_a_game_of_a_method_has_exactly_one_default_and_it_comes_first():
    for suite, name in EVERY:
        held = references.published(suite, name, alternatives=True)
        order = [(each.game, not each.default) for each in held]
        assert order == sorted(order), name
        assert {each.game for each in held} == {each.game for each in held if each.default}
        assert len(references.published(suite, name)) == len({each.game for each in held})


def test_every_game_is_one_of_the_suites():
    for suite, name in EVERY:
        held = {each.game for each in references.published(suite, name)}
        assert held <= {*suites.load(suite).games}, name


def test_random_and_human_are_those_of_the_games():
    for suite in tables.SUITES:
        for name in ("random", "human"):
            held = references.published(suite, name)
            assert [(each.game, each.score) for each in held] == [
                (game, getattr(games.load(game), name)) for game in sorted(suites.load(suite).games)
            ]


def test_a_table_that_lacks_games_says_so():
    short = {
        name: (len(references.published(suite, name)), references.method(suite, name).games)
        for suite, name in EVERY
    }
    lacking = {name: counts for name, counts in short.items() if counts[0] != counts[1]}
    assert lacking == {"drama": (22, 26), "twister": (3, 26), "record": (56, 57)}
    assert {counts for counts in short.values() if counts[0] == counts[1]} == {
        (26, 26), (55, 55), (57, 57)
    }  # fmt: skip
    for suite, name in EVERY:
        flagged = "cells_missing" in references.method(suite, name).flags
        assert flagged == (name in lacking)


@pytest.mark.parametrize("cell", CONFLICTS, ids="-".join)
def test_what_sources_disagree_about_is_flagged_and_never_averaged(cell):
    suite, name, game = cell
    wanted, others = CONFLICTS[cell]
    held = references.published(suite, name, alternatives=True)
    held = [each for each in held if each.game == game]
    (default,) = [each for each in held if each.default]
    assert wanted in (None, default.score)
    assert {each.score for each in held if not each.default} == others
    own = {*default.flags} - {*references.method(suite, name).flags}
    assert own or name == "dqn_dopamine"
    assert all(each.flags and each.source for each in held if not each.default)


@pytest.mark.parametrize("of", DOUBTS, ids="-".join)
def test_a_doubtful_table_is_flagged_in_every_row(of):
    held = references.published(*of)
    assert held
    assert [each.game for each in held if DOUBTS[of] not in each.flags] == []


def test_both_columns_of_simple_are_flagged_where_they_differ():
    ours, theirs = (
        {each.game: each for each in references.published("atari100k", name)}
        for name in ("simple", "simple_in_efficientzero")
    )
    differ = {game for game in ours if abs(ours[game].score - theirs[game].score) > 0.06}
    assert len(differ) == 12
    for column in (ours, theirs):
        assert {game for game, each in column.items() if "two_columns" in each.flags} == differ


def test_double_dqn_is_flagged_from_river_raid_on():
    held = references.published("atari57", "double_dqn_noop")
    flagged = [each.game for each in held if "rldb_dueling" in each.flags]
    assert flagged == [each.game for each in held if each.game >= "riverraid"]
    assert len(flagged) == 18


def test_every_flag_is_explained_and_every_explanation_is_used():
    used = {flag for each in everything() for flag in each.flags}
    used |= {each.flag for each in baselines.others() if each.flag}
    assert used == set(tables.reasons())


def test_every_score_names_its_source_and_no_file_of_ours():
    sources = {each.source for each in everything()}
    assert all(len(source) > 8 for source in sources)
    assert [
        source for source in sources if source.startswith(("/", "..")) or "text " in source
    ] == []


def test_what_is_not_stated_is_none_and_not_zero():
    iris, bbf = (references.method("atari100k", name) for name in ("iris", "bbf"))
    assert (iris.protocol.sticky, iris.protocol.actions) == (None, None)
    assert (bbf.protocol.sticky, bbf.protocol.episodes, bbf.window) == (0.0, None, None)
    spreads = {each.game: each.spread for each in references.published("atari100k", "dreamerv3")}
    assert spreads.pop("up_n_down") is None  # One seed.
    assert spreads["freeway"] == 0.0
    assert None not in spreads.values()


def test_seeds_are_those_of_the_game_where_games_differ():
    seeds = {each.game: each.seeds for each in references.published("atari100k", "dreamerv3")}
    assert (seeds["alien"], seeds["up_n_down"]) == (5, 1)
    four = {game for game, count in seeds.items() if count == 4}
    assert four == {"crazy_climber", "gopher", "kung_fu_master", "pong"}
    counts = [each.seeds for each in references.published("atari57", "dreamerv3")]
    assert sorted(map(counts.count, {3, 4, 5, 6})) == [4, 7, 19, 27]


def test_the_protocol_of_the_dreamers_is_that_of_our_suites():
    for suite, name in (("atari100k", "dreamerv3"), ("atari57", "ppo")):
        task, said = suites.load(suite).task, references.method(suite, name)
        assert (said.protocol.sticky, said.protocol.actions) == (task.sticky, task.actions)
        assert said.window == suites.load(suite).score.window


def test_an_alternative_of_another_window_does_not_claim_the_methods():
    held = references.published("atari57", "iqn_dopamine", alternatives=True)
    alternatives = [each for each in held if not each.default]
    assert len(alternatives) == 55
    assert {each.window_words for each in alternatives} == {"mean over the last 10 iterations"}
    assert {(each.window, each.seeds, each.spread) for each in alternatives} == {(None, None, None)}


# What is asked, and what the refusal must hold.
REFUSED = {
    ("atari100k", "dreamerv4"): "did you mean 'dreamerv3'?",
    ("atari100k", "climb"): "lists the 42",
    ("atari57", "dremerv2"): "did you mean 'dreamerv2'?",
    ("atari10k", "ppo"): "did you mean 'atari100k'?",
    ("demo", "ppo"): "allowed are atari100k, atari57",
}


@pytest.mark.parametrize("asked", REFUSED, ids=" ".join)
def test_an_unknown_suite_or_method_is_refused_with_the_nearest(asked):
    with pytest.raises(ValueError, match=re.escape(REFUSED[asked])):
        references.published(*asked)


def test_a_method_is_found_by_its_title_too_and_titles_are_its_own():
    assert references.method("atari100k", "DIAMOND").name == "diamond"
    for suite in tables.SUITES:
        titles = [each.title for each in references.methods(suite)]
        assert sorted(titles) == sorted(set(titles))


def test_printed_aggregates_are_those_of_the_games_but_for_the_known_slips():
    found = [each for suite in tables.SUITES for each in references.check(suite)]
    wrong = {
        (each.method, each.metric): round(each.ours, 3)
        for each in found
        if each.comparable and abs(each.difference) > max(0.001, 0.5 * 10**-each.digits + 1e-9)
    }
    assert wrong == SLIPS
    assert sum(each.comparable for each in found) > 85


@pytest.mark.parametrize(
    ("suite", "name", "mean", "median"),
    [
        ("atari100k", "dreamerv3", "1.25", "0.49"),
        ("atari100k", "ppo", "0.11", "0.02"),
        ("atari57", "dreamerv3", "33.81", "8.30"),
        ("atari57", "ppo", "8.92", "1.80"),
        ("atari57", "muzero", "30.54", "6.93"),
    ],
)
def test_the_dreamerv3_release_gives_its_headline_to_the_printed_digit(suite, name, mean, median):
    held = {each.metric: each for each in references.check(suite) if each.method == name}
    assert all(each.agrees and each.comparable for each in held.values())
    assert f"{held['mean'].printed:.2f}" == mean
    assert f"{held['median'].printed:.2f}" == median


def test_an_aggregate_is_that_of_its_definition():
    found = references.aggregate("atari100k", "iris")
    values = []
    for each in references.published("atari100k", "iris"):
        game = games.load(each.game)
        values.append((each.score - game.random) / (game.human - game.random))
    assert (found.games, found.missing) == (26, 0)
    assert found.mean == pytest.approx(sum(values) / 26)
    assert found.median == statistics.median(values)
    assert found.iqm == pytest.approx(sum(sorted(values)[6:20]) / 14)
    assert found.superhuman == 10  # Pong is exactly human.
    human = references.aggregate("atari57", "human")
    assert (human.mean, human.iqm, human.superhuman) == (1, 1, 57)


def test_an_incomplete_table_is_never_compared_with_what_its_paper_prints(monkeypatch):
    row = {"suite": "atari100k", "method": "twister", "metric": "mean", "printed": "1.62",
           "scales": "standard", "note": "", "source": "a paper"}  # fmt: skip
    read = tables.rows
    monkeypatch.setattr(
        tables, "rows", lambda file: iter([row]) if file == "printed.csv" else read(file)
    )
    (found,) = references.check("atari100k")
    assert (found.method, found.comparable) == ("twister", False)


def test_the_tables_of_random_and_human_scores_move_the_mean_as_published():
    means = {name: references.aggregate("atari57", "dreamerv3", name).mean * 100
             for name in ("standard", "rliable")}  # fmt: skip
    assert {name: round(mean) for name, mean in means.items()} == {
        "standard": 3381,
        "rliable": 2326,
    }
    dreamer = [references.aggregate("atari57", "dreamerv2", name).mean
               for name in ("standard", "dreamerv2", "dreamerv2_file")]  # fmt: skip
    assert [round(mean, 2) for mean in dreamer] == [11.53, 11.33, 42.26]


def test_another_table_changes_only_its_own_scores():
    names = suites.load("atari57").games
    standard, other = baselines.scales(names), baselines.scales(names, "rliable")
    assert {game for game in names if standard[game] != other[game]} == {"video_pinball"}
    assert other["video_pinball"] == (0.0, 17667.9)
    assert baselines.scales(["jamesbond"], "dreamerv2") == {"jamesbond": (7.0, 303.0)}
    assert baselines.scales(["alien"], "dreamerv2") == {"alien": (228.8, 7127.7)}
    assert baselines.scales(["adventure"]) == {"adventure": (None, None)}


def test_a_table_that_is_known_in_part_or_not_at_all_is_refused():
    assert baselines.scales(["pong"], "mnih2015") == {"pong": (-20.7, 9.3)}
    with pytest.raises(ValueError, match="known for alien, boxing, pong only, not for amidar"):
        baselines.scales(["pong", "amidar"], "mnih2015")
    with pytest.raises(ValueError, match="did you mean 'rliable'"):
        baselines.scales(["pong"], "rlable")


def test_the_list_names_every_method_and_its_source():
    head, *rows = csv.reader(io.StringIO(text.main(None, None, False, "csv")))
    assert [(row[0], row[1]) for row in rows] == EVERY
    assert [row for row in rows if not row[head.index("source")]] == []
    shown = {row[1]: row for row in rows if row[0] == "atari100k"}
    assert shown["drama"][head.index("games")] == "22 of 26"
    assert shown["dreamerv3"][head.index("seeds")] == "1-5"
    assert shown["curl"][head.index("seeds")] == ""


def test_a_methods_scores_are_shown_with_alternatives_and_the_reasons():
    shown = text.main("atari100k", "dreamerv3_2023", False, "table")
    lines = [line.split() for line in shown.splitlines() if line.startswith("up_n_down ")]
    assert [line[1] for line in lines] == ["7567.0833", "7667", "7600", "9234"]
    assert [line[4] for line in lines] == ["default", *["alternative"] * 3]
    assert "moves the median" in shown
    assert re.search(r"^  window +not stated$", shown, re.MULTILINE)


def test_scores_as_csv_can_be_read_back_whole():
    shown = csv.DictReader(io.StringIO(text.main("atari57", "dreamerv2", False, "csv")))
    held = references.published("atari57", "dreamerv2", alternatives=True)
    rows = list(shown)
    assert [float(row["score"]) for row in rows] == [each.score for each in held]
    assert [float(row["spread"]) for row in rows] == [each.spread for each in held]
    assert {row["window"] for row in rows} == {"at_199000000_frames"}


def test_the_documentation_has_the_generated_tables():
    docs = DOCS.read_text()
    assert text.main(None, None, True, "md") in docs
    assert text.render(text.flags(), "md") in docs


def test_the_documentation_names_every_table_of_random_and_human_scores():
    docs = DOCS.read_text()
    assert [name for name in baselines.tables() if f"| `{name}` |" not in docs] == []
