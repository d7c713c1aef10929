"""CSV files: a plain table, and CleanRL's exports, long and wide."""

import math

import pytest

import suites
from analysis.imported import main, store
from tests.analysis import published

HEADER = "agent,game,seed,frame,return\n"
BREAKOUT = "BreakoutNoFrameskip-v4__ppo_atari__3__1672531200"
PONG = "PongNoFrameskip-v4__ppo_atari__3__1672531201"


def bring(tmp_path, text, suite="demo", **wishes):
    path = tmp_path / "some.csv"
    path.write_text(text)
    out = tmp_path / "results"
    return published.bring(path, suites.load(suite), "x", out, **{"force": True} | wishes)


def points(found, game, seed):
    frames, returns = found.points[game, seed]
    return list(zip(frames.tolist(), returns.tolist(), strict=True))


def test_a_plain_table_gives_a_run_for_each_game_and_seed(tmp_path):
    text = "return,frame,seed,game,agent,note\n"
    text += "1,4,0,pong,a,x\n-2.5,8,0,pong,a,\n7,4,1,ALE/Pong-v5,a,\n"
    text += "3,80000,0,BreakoutNoFrameskip-v4,a,\n"
    said, found = bring(tmp_path, text)
    assert points(found, "pong", 0) == [(4, 1.0), (8, -2.5)]
    assert points(found, "pong", 1) == [(4, 7.0)]
    assert points(found, "breakout", 0) == [(80_000, 3.0)]
    assert (found.facts.kind, found.facts.window) == ("episodes", "last_10_episodes")
    assert found.facts.protocol == store.Protocol(
        sticky=None, actions=None, episodes=None, task=None
    )
    assert "protocol  not stated by the source" in said
    assert found.scores()["pong", 0].value == -0.75


def test_an_empty_return_is_a_point_without_a_value(tmp_path):
    _, found = bring(tmp_path, HEADER + "a,pong,0,4,\na,pong,0,8,2\n")
    assert math.isnan(points(found, "pong", 0)[0][1])
    assert found.facts.nulls == 1


def test_evaluation_scores_are_said_to_be_such(tmp_path):
    text = HEADER + "a,pong,0,40000,1\na,pong,0,80000,2\na,pong,0,80000,4\n"
    said, found = bring(tmp_path, text, kind="evaluation")
    assert (found.facts.kind, found.facts.window) == ("evaluation", "evaluation")
    assert found.facts.protocol.episodes == "evaluation"
    assert found.scores()["pong", 0].value == 3.0
    assert "have no point" not in said


def test_frames_per_step_are_said_and_applied(tmp_path):
    said, found = bring(tmp_path, HEADER + "a,pong,0,100,1\n", frames_per_step=4)
    assert points(found, "pong", 0) == [(400, 1.0)]
    assert "kind      episodes (frames = 4 x frame)" in said


def test_seeds_that_are_names_are_numbered_in_order(tmp_path):
    said, found = bring(tmp_path, HEADER + "a,pong,zeta,4,1\na,pong,12,4,2\na,pong,beta,4,3\n")
    assert {seed: points(found, "pong", seed)[0][1] for seed in range(3)} == {0: 2, 1: 3, 2: 1}
    assert "12 = 0, beta = 1, zeta = 2" in said


LINES = {
    "a,pong,0,4": "line 3: 4 fields; the header has 5",
    "a,pong,0,4.5,1": "line 3: frame: saw '4.5'; allowed is a whole number from 0",
    "a,pong,0,-4,1": "line 3: frame: saw '-4'",
    "a,pong,0,,1": "line 3: frame: saw ''",
    "a,pong,0,1_000,1": "line 3: frame: saw '1_000'",
    "a,pong,0,inf,1": "line 3: frame: saw 'inf'",
    "a,pong,0,4,nan": "line 3: return: saw 'nan'; allowed is a finite number, or nothing",
    "a,pong,0,4,Infinity": "line 3: return: saw 'Infinity'",
    "a,pong,0,4,1e999": "line 3: return: saw '1e999'",
    "a,pong,0,4,True": "line 3: return: saw 'True'",
    "a,pong,0,2,1": r"line 3: frame: saw 2 after 4 of the same run \(a, pong, 0\)",
    "a,,0,4,1": "line 3: game: saw nothing; allowed is text",
    'a,pong,0,4,"1': "line 3: unexpected end of data",
    'a,pong,0,4,"1"2': "line 3: ',' expected",
    "a,pogn,0,4,1": "unknown game 'pogn'.*did you mean 'pong'",
    "b,pong,0,4,1": "2 methods in it",
    "a,Pong-v5,0,4,1": "pong, seed 0, is there twice",
}


@pytest.mark.parametrize("line", LINES)
def test_a_wrong_line_is_refused_with_line_field_and_reason(tmp_path, line):
    with pytest.raises(ValueError, match=rf"^some\.csv.*{LINES[line]}"):
        bring(tmp_path, f"{HEADER}a,pong,0,4,1\n{line}\n")
    assert not (tmp_path / "results").exists()


HEADERS = {
    "agent,game,seed,frame\n": "of no known format; it begins with 'agent,game,seed,frame'",
    "agent,game,seed,frame,return,frame\n": "line 1: column 'frame' is there twice",
    "global_step,exp_name\n1,a\n": "of no known format",
    "charts/episodic_return,exp_name\n1,a\n": "of no known format",
}


@pytest.mark.parametrize("text", HEADERS)
def test_a_wrong_header_is_refused_and_formats_are_listed(tmp_path, text):
    with pytest.raises(ValueError, match=HEADERS[text]) as caught:
        bring(tmp_path, text)
    if "no known" in str(caught.value):
        for form in main.FORMATS:
            assert f"\n  {form}: " in str(caught.value)


def test_a_format_that_is_forced_says_what_it_misses(tmp_path):
    with pytest.raises(
        ValueError, match="line 1: no column return; saw 'agent, game, seed, frame'"
    ):
        bring(tmp_path, "agent,game,seed,frame\na,pong,0,4\n", format="csv")
    with pytest.raises(ValueError, match=r"no global_step or Step, or no charts/episodic_return"):
        bring(tmp_path, HEADER + "a,pong,0,4,1\n", format="cleanrl")
    with pytest.raises(ValueError, match=r"byte 1: saw 'a'; allowed is a list of runs"):
        bring(tmp_path, HEADER, format="official")


def test_cleanrls_long_export_counts_agent_steps(tmp_path):
    text = "exp_name,env_id,seed,global_step,charts/episodic_return,losses/value_loss\n"
    text += "ppo,BreakoutNoFrameskip-v4,1,100,2.0,\nppo,BreakoutNoFrameskip-v4,1,128,,0.5\n"
    text += "ppo,BreakoutNoFrameskip-v4,1,19000,3.0,\nppo,PongNoFrameskip-v4,2,50,-21.0,\n"
    said, found = bring(tmp_path, text)
    assert points(found, "breakout", 1) == [(400, 2.0), (76_000, 3.0)]
    assert points(found, "pong", 2) == [(200, -21.0)]
    assert found.facts.method == "ppo"
    assert (found.facts.protocol.sticky, found.facts.protocol.episodes) == (0.0, "training")
    assert "frames = 4 x global_step" in said
    _, found = bring(tmp_path, text, frames_per_step=1)
    assert points(found, "breakout", 1) == [(100, 2.0), (19_000, 3.0)]


def test_a_runs_name_says_whose_it_is(tmp_path):
    text = f"global_step,charts/episodic_return,name\n10,1,{BREAKOUT}\n12,4,{PONG}\n"
    _, found = bring(tmp_path, text)
    assert points(found, "breakout", 3) == [(40, 1.0)]
    assert points(found, "pong", 3) == [(48, 4.0)]


def test_cleanrls_wide_export_has_a_column_for_each_run(tmp_path):
    name = "charts/episodic_return"
    header = ["Step"]
    for run in (BREAKOUT, PONG):
        header += [f"{run} - {name}", f"{run} - {name}__MIN", f"{run} - {name}__MAX"]
    text = ",".join(f'"{column}"' for column in header) + "\n"
    text += (
        '"10","1","1","1","","",""\n"20","","","","-3","-3","-3"\n"30","2","2","2","5","5","5"\n'
    )
    said, found = bring(tmp_path, text)
    assert points(found, "breakout", 3) == [(40, 1.0), (120, 2.0)]
    assert points(found, "pong", 3) == [(80, -3.0), (120, 5.0)]
    assert found.facts.method == "ppo_atari"
    assert "frames = 4 x Step" in said
    assert "x is the column Step: taken for agent steps" in said


def test_a_sample_of_points_is_said_to_be_one(tmp_path):
    rows = "".join(f"{10 * step},1,{PONG}\n" for step in range(500))
    said, _ = bring(tmp_path, f"global_step,charts/episodic_return,name\n{rows}")
    assert "no run has more than 500 points: the export is a sample of them" in said


STRANGE = {
    "Step,exp_name: ppo - charts/episodic_return\n1,2\n": "export single runs, not groups",
    "global_step,charts/episodic_return\n1,2\n": "line 2: no env_id, exp_name, seed, and no run's",
    "global_step,charts/episodic_return,env_id,exp_name\n1,2,Pong-v5,ppo\n": "line 2: no seed",
    "global_step,charts/episodic_return,name\n": "no row below the header",
    f"global_step,charts/episodic_return,name\n9,1,{PONG}\n8,1,{PONG}\n": "saw 8 after 9",
    f"global_step,charts/episodic_return,name\nx,1,{PONG}\n": "line 2: global_step: saw 'x'",
}


@pytest.mark.parametrize("text", STRANGE)
def test_an_export_that_does_not_say_whose_runs_these_are_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=STRANGE[text]):
        bring(tmp_path, text)
