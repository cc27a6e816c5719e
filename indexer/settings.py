"""Coarse settings for compound tags and captions: "beach" for the scenes beach, coast, ocean and wave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from search.types import Tag, TagKind


@dataclass(frozen=True, slots=True)
class Setting:
    """Where something happens: as a label, as words in a sentence, and the scenes that it gathers."""

    label: str
    phrase: str
    scenes: frozenset[str]


def _setting(label: str, phrase: str, scenes: str) -> Setting:
    return Setting(label, phrase, frozenset(scene.strip() for scene in scenes.split(",")))


SETTINGS = (
    _setting("beach", "on a beach", "beach, coast, beach house, wave, lagoon"),
    _setting("sea", "at sea", "ocean, raft, ice floe, iceberg, ice shelf"),
    _setting(
        "lake or river", "by the water", "lake natural, river, creek, pond, fishpond, watering hole, canal natural"
    ),
    _setting("harbor", "in a harbor", "harbor, pier, boat deck, boathouse, loading dock, landing deck, boardwalk"),
    _setting("pool", "at a pool", "swimming pool indoor, swimming pool outdoor, water park, jacuzzi indoor"),
    _setting(
        "mountain", "in the mountains", "mountain, mountain path, cliff, valley, canyon, butte, volcano, badlands"
    ),
    _setting("snow", "in the snow", "mountain snowy, ski slope, ski resort, snowfield, glacier, igloo, tundra"),
    _setting(
        "forest", "in a forest", "forest broadleaf, forest path, forest road, rainforest, bamboo forest, tree farm"
    ),
    _setting("field", "in a field", "field wild, field cultivated, hayfield, wheat field, corn field, pasture, farm"),
    _setting("park", "in a park", "park, lawn, picnic area, botanical garden, formal garden, yard, orchard, campus"),
    _setting("playground", "at a playground", "playground, sandbox"),
    _setting("desert", "in a desert", "desert sand, desert vegetation, desert road"),
    _setting(
        "street",
        "on a street",
        "street, crosswalk, downtown, alley, plaza, promenade, residential neighborhood, medina",
    ),
    _setting("road", "on a road", "highway, field road, driveway, raceway"),
    _setting(
        "station", "at a station", "train station platform, subway station platform, bus station indoor, railroad track"
    ),
    _setting("airport", "at an airport", "airfield, runway, airport terminal, hangar indoor, hangar outdoor, heliport"),
    _setting(
        "market", "at a market", "market indoor, market outdoor, bazaar indoor, bazaar outdoor, supermarket, food court"
    ),
    _setting(
        "restaurant",
        "in a restaurant",
        "restaurant, restaurant patio, cafeteria, coffee shop, dining hall, pizzeria, bar",
    ),
    _setting("kitchen", "in a kitchen", "kitchen, restaurant kitchen, galley"),
    _setting("dining room", "in a dining room", "dining room"),
    _setting("living room", "in a living room", "living room, television room, home theater, recreation room"),
    _setting("bedroom", "in a bedroom", "bedroom, hotel room, dorm room, childs room, bedchamber, youth hostel"),
    _setting("bathroom", "in a bathroom", "bathroom, shower"),
    _setting("office", "in an office", "office, home office, office cubicles, computer room, conference room"),
    _setting("classroom", "in a classroom", "classroom, lecture room, kindergarden classroom"),
    _setting(
        "stadium", "in a stadium", "stadium baseball, stadium football, stadium soccer, arena hockey, arena performance"
    ),
    _setting(
        "sports field", "on a sports field", "baseball field, soccer field, football field, athletic field outdoor"
    ),
    _setting("stage", "on a stage", "stage indoor, stage outdoor, orchestra pit"),
)
"""Scenes that no setting names stay out of compounds and captions: better nothing than something wrong."""

LEAST = 0.3


def setting_of(tags: Iterable[Tag]) -> tuple[Setting, float] | None:
    """Return the setting that the stored scenes agree on, with their summed confidence, if that is at least 0.3."""
    scenes = {tag.label: tag.confidence for tag in tags if tag.kind is TagKind.SCENE}
    sums = [(sum(scenes.get(scene, 0.0) for scene in setting.scenes), setting) for setting in SETTINGS]
    confidence, setting = max(sums, key=lambda pair: pair[0])
    return (setting, min(1.0, confidence)) if confidence >= LEAST else None
