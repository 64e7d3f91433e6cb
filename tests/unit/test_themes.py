"""Every tone on every ground of every theme: read at 4.5:1, in the theme of high contrast at 7:1."""

from __future__ import annotations

import colorsys
from itertools import combinations

import pytest
from textual.theme import Theme

from hhmrs.healing.agent import Phase
from hhmrs.tui.looks import LOOKS
from hhmrs.tui.themes import (
    DARK,
    HHMRS_CONTRAST,
    LIGHT,
    THEMES,
    TRON_FADED,
    TRON_INK,
    TRON_ORANGE,
    TRON_PULSE,
    cursor_ground,
    palette,
)
from hhmrs.tui.tones import Tone

IDS = [theme.name for theme in THEMES]


def light(colour: str) -> float:
    def part(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (part(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2."""
    lighter, darker = sorted((light(one), light(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def grounds(theme: Theme) -> dict[str, str]:
    """All that text of ours stands on: of the theme, of our style sheet, under the selection."""
    found = {name: getattr(theme, name) for name in ("background", "surface", "panel")}
    found["banner"] = theme.variables["banner"]
    found["selected"], found["selected, calm"] = cursor_ground(theme, True), cursor_ground(theme, False)
    return found


def least(theme: Theme) -> float:
    return 7.0 if theme is HHMRS_CONTRAST else 4.5


def test_the_measure_is_the_known_one() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES, ids=IDS)
def test_every_tone_can_be_read_on_every_ground(theme: Theme) -> None:
    for name, ground in grounds(theme).items():
        for tone, colour in palette(theme.dark).items():
            assert contrast(colour, ground) >= least(theme), (tone, name)
        assert theme.foreground is not None
        assert contrast(theme.foreground, ground) >= least(theme), name


@pytest.mark.parametrize("theme", THEMES, ids=IDS)
def test_a_badge_on_its_tone_can_be_read(theme: Theme) -> None:
    assert theme.background is not None
    for tone in (Tone.BAD, Tone.LIMIT, Tone.BUSY):
        assert contrast(theme.background, palette(theme.dark)[tone]) >= least(theme), tone


@pytest.mark.parametrize("theme", THEMES, ids=IDS)
def test_what_textual_paints_itself_can_be_read(theme: Theme) -> None:
    made = theme.to_color_system().generate()
    pairs = [
        ("foreground", "surface"),
        ("foreground", "panel"),
        ("primary", "background"),
        ("warning", "panel"),
    ]
    for ink, ground in [*pairs, ("error", "panel"), ("success", "panel")]:
        assert contrast(made[ink][:7], made[ground][:7]) >= 4.5, (ink, ground)


@pytest.mark.parametrize("ground", [TRON_ORANGE, TRON_PULSE, TRON_FADED])
def test_the_ink_on_each_orange_can_be_read_even_at_high_contrast(ground: str) -> None:
    assert contrast(TRON_INK, ground) >= 7


def hue(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360


def apart(one: str, other: str) -> float:
    turn = abs(hue(one) - hue(other)) % 360
    return min(turn, 360 - turn)


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_orange_is_interventions_alone(colours: dict[Tone, str]) -> None:
    assert TRON_ORANGE == "#ff6c00"
    assert apart(colours[Tone.TRON], TRON_ORANGE) <= 5, "one orange, whatever it stands on"
    near = [tone for tone, colour in colours.items() if apart(colour, TRON_ORANGE) < 15]
    assert near == [Tone.TRON]


def test_only_a_recovery_is_painted_in_the_tone_of_interventions() -> None:
    assert [phase for phase, look in LOOKS.items() if look.tone is Tone.TRON] == [Phase.RECOVERING]


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_waiting_limited_and_blocked_differ_in_colour_glyph_and_word(colours: dict[Tone, str]) -> None:
    """Blocked is who cannot go on by itself: stalled, or given up."""
    phases = (Phase.WAITING, Phase.LIMITED, Phase.STALLED, Phase.PAUSED, Phase.RECOVERING)
    for one, other in combinations(phases, 2):
        assert apart(colours[LOOKS[one].tone], colours[LOOKS[other].tone]) >= 15, (one, other)
        assert LOOKS[one].glyph != LOOKS[other].glyph
        assert LOOKS[one].ascii != LOOKS[other].ascii
    assert LOOKS[Phase.ESCALATED].tone is not LOOKS[Phase.STALLED].tone
