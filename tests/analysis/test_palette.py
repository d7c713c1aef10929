import itertools

import pytest

from analysis import palette

LADDER = ["dreamer_ppo+ppo", "dreamer_ppo+aux", "dreamer_ppo", "dreamer_ppo+seed"]


def light(color: str) -> float:
    """Relative luminance, as of WCAG 2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_colour_is_a_function_of_the_label_and_never_changes():
    assert palette.look("ppo") == palette.Look("#0072B2", "-", "o")
    assert palette.look("dreamer_ppo") == palette.Look("#D55E00", "-", "o")
    assert palette.look("dreamer_ppo+aux") == palette.Look("#FF8829", "--", "^")
    assert palette.look("somebodys_agent") == palette.look("somebodys_agent")


def test_the_ladder_goes_from_light_to_dark_in_one_hue():
    levels = [light(palette.look(label).color) for label in LADDER]
    assert levels == sorted(levels, reverse=True)


def test_the_agents_of_one_figure_differ_in_colour_and_lines_in_greyscale():
    looks = [palette.look(label) for label in [*LADDER, "ppo", "random"]]
    assert len({look.color for look in looks}) == len(looks)
    for one, other in itertools.combinations([palette.look(label) for label in LADDER], 2):
        assert one.dash != other.dash
        assert one.marker != other.marker


@pytest.mark.parametrize("label", [*palette.HUES, *LADDER, "anything", "else+block"])
def test_every_colour_is_seen_on_white_and_on_black(label):
    level = light(palette.look(label).color)
    assert 1.05 / (level + 0.05) > 1.5
    assert (level + 0.05) / 0.057 > 1.5


def test_within_apart_no_two_share_colour_dash_or_marker_and_the_first_keep_their_look():
    labels = ["ppo", "dreamer_ppo", "dreamerv3", "somebody", "theirs_2024", "theirs_2025"]
    looks = palette.distinct(labels)
    for part in ("color", "dash", "marker"):
        assert len({getattr(look, part) for look in looks.values()}) == len(labels), part
    assert looks["ppo"] == palette.look("ppo")
    with palette.apart(labels):
        assert palette.look("dreamer_ppo") == looks["dreamer_ppo"] != before("dreamer_ppo")
    assert palette.look("dreamer_ppo") == before("dreamer_ppo")


def before(label):
    return palette.distinct([label])[label]


def test_within_apart_a_ladder_keeps_its_looks():
    with palette.apart(LADDER):
        assert [palette.look(label) for label in LADDER] == [before(label) for label in LADDER]


def test_blocks_of_one_agent_keep_its_hue():
    import colorsys

    def hue(label):
        color = palette.look(label).color
        return colorsys.rgb_to_hls(*(int(color[i : i + 2], 16) for i in (1, 3, 5)))[0]

    for label in ("dreamerv3+size12m", "dreamerv3+size200m", "dreamerv3+anything"):
        assert hue(label) == pytest.approx(hue("dreamerv3"), abs=0.02)
