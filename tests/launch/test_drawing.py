"""The verbs that make files for papers, as they are typed."""

import pytest

from analysis.paper import kinds, tabular
from launch import cli, drawing
from tests.analysis import paper_sweeps


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return paper_sweeps.begin(tmp_path_factory.mktemp("verbs"))


def words(sweep, *more: str) -> list[str]:
    suite = str(sweep.root / "suites" / "little.yaml")
    return [*more, "--suite", suite, "--from", str(sweep.results), "--resamples", "100"]


def test_the_verbs_know_every_kind():
    assert list(drawing.FIGURES) == list(kinds.KINDS)
    assert list(drawing.TABLES) == list(tabular.KINDS)


def test_a_figure_is_written_where_it_is_asked_for(sweep, tmp_path, capsys):
    stem = tmp_path / "deep" / "fig1"
    code = cli.main(words(sweep, "figure", "curves", "--agents", "ppo", "--out", str(stem)))
    said = capsys.readouterr().out.split()
    assert code == 0
    assert said == [f"{stem}.{kind}" for kind in ("pdf", "png", "json", "tex")]
    assert all((stem.parent / f"fig1.{kind}").is_file() for kind in ("pdf", "png", "json", "tex"))


def test_without_a_place_it_is_among_the_results_of_the_suite(sweep, capsys):
    assert cli.main(words(sweep, "table", "games", "--agents", "ppo,dreamer_ppo")) == 0
    said = capsys.readouterr().out.split()
    place = sweep.results / "little" / "paper"
    assert said == [str(place / f"games.{kind}") for kind in ("tex", "md", "csv", "json")]


@pytest.mark.parametrize(("more", "said"), [
    (["figure", "curvs", "--agents", "ppo"], "did you mean 'curves'"),
    (["figure", "curves", "--agents", "pppo"], "did you mean 'ppo'"),
    (["figure", "curves", "--agents", "ppo", "--games", "brekout"], "did you mean 'breakout'"),
    (["table", "game", "--agents", "ppo"], "did you mean 'games'"),
])  # fmt: skip
def test_a_misspelt_word_is_answered_with_the_nearest(more, said, sweep, capsys):
    try:
        code = cli.main(words(sweep, *more))
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_one_message(sweep, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    stem = tmp_path / "file" / "fig"
    assert cli.main(words(sweep, "figure", "curves", "--agents", "ppo", "--out", str(stem))) == 2
    assert capsys.readouterr().err.startswith("reverie figure: ")
