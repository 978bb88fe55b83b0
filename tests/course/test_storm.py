"""The picture of the reconnect storm: the same each time, and it shows what the lesson says."""

from xml.etree import ElementTree

import pytest

from course import partials, storm
from course.manifest import LANGUAGES


@pytest.mark.parametrize("way", storm.WAYS)
def test_every_client_knocks_until_it_is_let_in(way: str) -> None:
    moments = storm.arrivals(way)

    assert moments == storm.arrivals(way), "the dice are seeded"
    assert sum(moment >= storm.AWAY for moment in moments) == storm.CLIENTS
    assert moments[0] > 0


def test_jitter_takes_the_crowd_apart() -> None:
    none, equal, full = (storm.peak(way) for way in ("none", "equal", "full"))

    assert none == storm.CLIENTS
    assert full < equal < none / 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_is_well_formed_and_says_its_numbers(language: str) -> None:
    drawn = storm.picture(partials.vocabulary(language))

    figure = ElementTree.fromstring(drawn)
    texts = " ".join(figure.itertext())
    for way in storm.WAYS:
        assert partials.vocabulary(language)[f"storm_{way}"] in texts
        assert str(storm.peak(way)) in texts
    label = figure[0].attrib["aria-label"]
    assert all(str(storm.peak(way)) in label for way in storm.WAYS)
    assert "{" not in drawn
