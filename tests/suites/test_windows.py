"""Which episodes of a run make its score."""

import math

import pytest

from suites import windows

FRAMES = 1000
EPISODES = [
    {"frame": frame, "return": value, "end": end}
    for frame, value, end in [
        (100, 1.0, "terminal"), (500, 2.0, "terminal"), (899, 3.0, "cap"), (900, 4.0, "cut"),
        (900, 5.0, "terminal"), (1000, 7.0, "terminal"), (1000, 90.0, "cut"),
    ]
]  # fmt: skip
EVALUATION = [
    {"frame": frame, "return": value} for frame, value in [(500, 9), (1000, 10), (1000, 12)]
]


@pytest.mark.parametrize(
    ("name", "value", "episodes"),
    [
        ("last_of_10_bins", 6.0, 2),  # From frame 900 on, the edge included; cut ones never count.
        ("last_of_1_bins", 3.6, 5),
        ("last_2_episodes", 6.0, 2),
        ("last_100_episodes", 3.6, 5),
        ("at_899_frames", 3.0, 1),
        ("at_898_frames", 2.0, 1),  # Carried forward from frame 500.
        ("at_99_frames", math.nan, 0),
        ("at_1000_frames", 7.0, 1),
        ("last_point", 7.0, 1),
        ("evaluation", 11.0, 2),
    ],
)
def test_a_window_scores_its_own_episodes(name: str, value: float, episodes: int) -> None:
    found = windows.score(windows.parse(name), FRAMES, EPISODES, EVALUATION)
    assert found.value == pytest.approx(value, nan_ok=True)
    assert found.episodes == episodes


@pytest.mark.parametrize("name", windows.EXAMPLES)
def test_an_empty_window_is_a_nan_of_no_episodes(name: str) -> None:
    found = windows.score(windows.parse(name), FRAMES, [], [])
    assert math.isnan(found.value) and found.episodes == 0


@pytest.mark.parametrize("name", ["last_0_episodes", "last_of_-1_bins", "at_0_frames", "last", ""])
def test_a_name_that_is_no_window_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"saw window '.*'; allowed is last_of_<K>_bins"):
        windows.parse(name)


def test_the_nearest_window_is_named() -> None:
    with pytest.raises(ValueError, match="did you mean 'last_100_episodes'"):
        windows.parse("last_100_episode")


def test_every_window_says_what_it_is_in_words_of_its_own() -> None:
    said = [windows.parse(name).words(400_000) for name in windows.EXAMPLES]
    assert len({*said}) == len(windows.EXAMPLES)
    assert windows.parse("last_of_40_bins").words(400_000).endswith("frames 390,000 to 400,000")
