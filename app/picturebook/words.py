"""What people call what they see in the picture book, in English and Italian."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from app.picturebook.world import CLASSES, CUES, SURROUNDINGS


@dataclass(frozen=True, slots=True)
class Words:
    """name: what most people say. synonyms: other words for the same, forms of it included.
    vague: what people say who do not look closely; it fits much else. italian: as in synonyms."""

    name: str
    synonyms: tuple[str, ...]
    vague: tuple[str, ...]
    italian: tuple[str, ...]


def words_for(class_name: str, region: str) -> Words:
    """The words for a class's part, a cue, or what is around it.

    The same part has other words in another class: a windmill's sail is a blade. ValueError when
    the class has no such part.
    """
    _check_region(class_name, region)
    return _OF_CLASS.get((class_name, region)) or _COMMON[region]


@cache
def accepted(class_name: str, region: str) -> frozenset[str]:
    """The words, lower case, that name this region and no other that a picture of the class can
    have: the name, its synonyms, their plurals, and the Italian ones."""
    words = words_for(class_name, region)
    english = (words.name, *words.synonyms)
    return frozenset((*english, *map(plural, english), *words.italian))


def names(label: str, *, class_name: str, region: str) -> bool:
    """Whether a label in lower case, such as "a red wheel", holds a word that names the region."""
    return not accepted(class_name, region).isdisjoint(_runs(label))


def plural(noun: str) -> str:
    """The English plural by rule: of the last word, or of "mane" in "mane of hair". What is a
    plural already, and what cannot be counted, stays."""
    head, of, rest = noun.partition(" of ")
    first, blank, last = head.rpartition(" ")
    return f"{first}{blank}{_plural_of_word(last)}{of}{rest}"


def _plural_of_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCOUNTED or (word.endswith("s") and not word.endswith("ss")):
        return word
    if word.endswith(("ss", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def regions_of(class_name: str) -> tuple[str, ...]:
    """Everything that a picture of the class can show: its parts, the cues, what is around."""
    if class_name not in CLASSES:
        raise ValueError(f"There is no class {class_name!r}; there are {', '.join(CLASSES)}.")
    return (*CLASSES[class_name], *CUES, *SURROUNDINGS)


def _check_region(class_name: str, region: str) -> None:
    if region not in regions_of(class_name):
        raise ValueError(f"A picture of a {class_name} has no {region!r}.")


def _runs(label: str) -> Iterator[str]:
    """Every word of the label, and every run of words."""
    words = label.split()
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            yield " ".join(words[start:end])


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _words(name: str, synonyms: str, vague: str, italian: str) -> Words:
    return Words(name, _listed(synonyms), _listed(vague), _listed(italian))


_IRREGULAR: Final = {
    "foot": "feet",
    "leaf": "leaves",
}

# Mass nouns, and words that are plurals without an s.
_UNCOUNTED: Final = frozenset(
    [
        *("fire", "water", "sea", "air", "grass", "turf", "snow", "ice", "sand", "fur", "glass"),
        *("skin", "canvas", "sailcloth", "plumage", "bodywork", "paintwork", "brickwork"),
        *("stonework", "masonry", "planking", "tiling", "pollen", "shrubbery", "asphalt"),
        *("tarmac", "sunshine", "sunlight", "moonlight", "starlight", "mist", "haze", "frost"),
        *("feet", "leaves", "hair"),
    ]
)

_WINDOW: Final = _words(
    "window",
    "windows, pane, window pane, glass, window frame",
    "opening, square, glassy thing, hole",
    "finestra, finestre, finestrino, vetro, vetri",
)
_PORTHOLE: Final = _words(
    "window",
    "porthole, round window, glass, bull's eye",
    "circle, round thing, hole",
    "oblò, finestrino, finestra, vetro",
)

# What is called the same whatever it belongs to.
_COMMON: Final[dict[str, Words]] = {
    "window": _WINDOW,
    "wheel": _words(
        "wheel",
        "tire, tyre, rim, hubcap, spokes, hub, spoke",
        "round thing, circle, rubber thing",
        "ruota, ruote, gomma, pneumatico, cerchione",
    ),
    "headlight": _words(
        "headlight",
        "light, lamp, headlamp, front light, lights",
        "round thing, shiny thing, glass thing",
        "faro, fari, fanale, luce, lampada",
    ),
    "roof": _words(
        "roof",
        "rooftop, roof tile, tile, shingle, gable, tiling",
        "top, triangle, red thing",
        "tetto, tetti, tegole, tegola",
    ),
    "door": _words(
        "door",
        "doorway, entrance, front door, gate, doorknob",
        "opening, wooden thing, rectangle",
        "porta, porte, portone, ingresso",
    ),
    "chimney": _words(
        "chimney",
        "smokestack, flue, chimney pot, stack",
        "pipe, tube thing, tall thing",
        "camino, comignolo, ciminiera, fumaiolo",
    ),
    "eye": _words(
        "eye",
        "eyeball, pupil, iris, eyelid",
        "dot, round thing, black spot",
        "occhio, occhi, pupilla",
    ),
    "hull": _words(
        "hull",
        "boat, ship, boat body, bow, deck, planking, keel",
        "wooden thing, vessel part, curved thing",
        "scafo, barca, prua, chiglia",
    ),
    "mast": _words(
        "mast",
        "pole, boom, spar, wooden pole",
        "stick, line, tall thing",
        "albero maestro, asta, palo, boma",
    ),
    "flag": _words(
        "flag",
        "pennant, banner, streamer, ensign",
        "cloth thing, rag, coloured thing",
        "bandiera, bandierina, stendardo",
    ),
    "wall": _words(
        "wall",
        "facade, brick, brickwork, house front, masonry",
        "flat thing, surface, building part",
        "muro, parete, facciata, mattoni, mura",
    ),
    "bumper": _words(
        "bumper",
        "fender, bumper bar, guard",
        "metal part, bar, strip",
        "paraurti, parafango, barra",
    ),
    "boiler": _words(
        "boiler",
        "engine, locomotive, steam engine, barrel, tank",
        "cylinder, metal part, big thing",
        "caldaia, locomotiva, motore",
    ),
    "cab": _words(
        "cab",
        "cabin, driver's cab, driver cabin, compartment",
        "box, back part, square thing",
        "cabina, abitacolo",
    ),
    "mouth": _words(
        "mouth",
        "lip, lips, jaw, smile",
        "opening, front part, line",
        "bocca, labbra, labbro, mascella",
    ),
    "wing": _words(
        "wing",
        "feather, feathers, plumage, wing feather",
        "side part, soft thing, flappy thing",
        "ala, ali, piuma, piume",
    ),
    "beak": _words(
        "beak",
        "bill, nib, bird's beak",
        "pointed thing, front part, triangle",
        "becco, becchi",
    ),
    "leg": _words(
        "leg",
        "foot, claw, talon, toe",
        "thin thing, stick, lower part",
        "zampa, zampe, gamba, artiglio, piede",
    ),
    "head": _words(
        "head",
        "face, forehead, cheek, cat's head",
        "round thing, front part, animal part",
        "testa, muso, faccia, volto, guancia",
    ),
    "ear": _words(
        "ear",
        "ears, earlobe, pointed ear",
        "pointed thing, triangle, tip",
        "orecchio, orecchie, orecchi",
    ),
    "whiskers": _words(
        "whiskers",
        "whisker, feeler, face hair",
        "lines, thin things, hairs",
        "baffi, baffo, vibrisse",
    ),
    "paw": _words(
        "paw",
        "foot, claw, toe, leg, toe bean",
        "lower part, soft thing, animal part",
        "zampa, zampe, zampetta, piede",
    ),
    "petal": _words(
        "petal",
        "petals, flower petal, petal edge",
        "soft thing, colourful thing, plant part",
        "petalo, petali, corolla",
    ),
    "center": _words(
        "center",
        "centre, middle, pistil, disc, disk, pollen, stamen, core",
        "round thing, circle, yellow spot",
        "centro, pistillo, polline, stame",
    ),
    "stem": _words(
        "stem",
        "stalk, flower stem, twig, shoot",
        "line, green thing, stick",
        "stelo, gambo, fusto",
    ),
    "leaf": _words(
        "leaf",
        "leaves, leaflet, blade, green leaf",
        "green thing, plant part, flat thing",
        "foglia, foglie, fogliolina",
    ),
    "nose": _words(
        "nose",
        "tip, nose cone, cone, point, spike",
        "top, pointed thing, triangle",
        "punta, cono, ogiva, naso",
    ),
    "flame": _words(
        "flame",
        "fire, exhaust, blaze, jet, flames, engine fire",
        "bright thing, orange thing, hot thing",
        "fiamma, fiamme, fuoco, scarico",
    ),
    "tower": _words(
        "tower",
        "wall, mill body, brickwork, stonework, base, masonry",
        "tall thing, building part, structure",
        "torre, muro, edificio, base, mattoni",
    ),
    # Cues.
    "water": _words(
        "water",
        "sea, waves, wave, ocean, lake, river, ripples",
        "blue thing, wet thing, background",
        "acqua, mare, onde, onda, oceano, lago",
    ),
    "mark": _words(
        "stamp",
        "mark, badge, star sticker, sticker, logo, seal, emblem, watermark, star stamp",
        "round thing, corner thing, pink thing",
        "timbro, bollo, adesivo, marchio, distintivo, francobollo",
    ),
    # Surroundings.
    "sky": _words(
        "sky",
        "blue sky, air, heaven, night sky, skies",
        "background, blue thing, nothing special",
        "cielo, cieli, aria",
    ),
    "cloud": _words(
        "cloud",
        "clouds, white cloud, mist, haze",
        "white thing, fluffy thing, background",
        "nuvola, nuvole, nube",
    ),
    "sun": _words(
        "sun",
        "sunshine, sunlight, sunset, sunrise",
        "yellow thing, round thing, bright thing",
        "sole, tramonto, alba",
    ),
    "moon": _words(
        "moon",
        "crescent, full moon, half moon, moonlight",
        "pale thing, round thing, bright thing",
        "luna, mezzaluna",
    ),
    "star": _words(
        "star",
        "stars, starlight, night star",
        "dot, sparkle, bright thing",
        "stella, stelle",
    ),
    "hill": _words(
        "hill",
        "hills, hillside, slope, knoll",
        "background, landscape, green thing",
        "collina, colline, pendio",
    ),
    "mountain": _words(
        "mountain",
        "mountains, peak, summit, mountain range",
        "background, landscape, big thing",
        "montagna, montagne, monte, cima, vetta",
    ),
    "grass": _words(
        "grass",
        "meadow, lawn, turf, field, pasture",
        "green thing, ground, background",
        "erba, prato, campo",
    ),
    "tree": _words(
        "tree",
        "trees, trunk, treetop, fir, pine, oak",
        "green thing, plant, background",
        "alberi, pianta alta, tronco, pino, abete",
    ),
    "bush": _words(
        "bush",
        "bushes, shrub, hedge, shrubbery",
        "green thing, plant, background",
        "cespuglio, cespugli, siepe, arbusto",
    ),
    "blossom": _words(
        "blossom",
        "bloom, daisy, wildflower, little flower, meadow flower",
        "plant, coloured dot, small thing",
        "fiorellino, fiorellini, margherita, fiori di campo",
    ),
    "fence": _words(
        "fence",
        "fence post, picket, railing, paling",
        "wooden thing, bar, lines",
        "recinto, staccionata, steccato, palizzata",
    ),
    "rock": _words(
        "rock",
        "rocks, stone, boulder, pebble",
        "grey thing, lump, hard thing",
        "roccia, rocce, sasso, sassi, pietra, masso",
    ),
    "sand": _words(
        "sand",
        "beach, desert, dune, shore",
        "ground, yellow thing, background",
        "sabbia, spiaggia, deserto, duna",
    ),
    "snow": _words(
        "snow",
        "ice, snowfield, snowdrift, frost",
        "white thing, ground, background",
        "neve, ghiaccio, gelo",
    ),
    "street": _words(
        "street",
        "road, asphalt, pavement, tarmac, lane",
        "ground, grey thing, background",
        "strada, via, asfalto, corsia",
    ),
    "balloon": _words(
        "balloon",
        "hot air balloon, balloons, air balloon",
        "round thing, flying thing, colourful thing",
        "palloncino, mongolfiera, pallone aerostatico",
    ),
    "kite": _words(
        "kite",
        "kites, paper kite, kite string",
        "flying thing, diamond, colourful thing",
        "aquilone, aquiloni",
    ),
}

# What is called otherwise in one class than in the next.
_OF_CLASS: Final[dict[tuple[str, str], Words]] = {
    ("sailboat", "window"): _PORTHOLE,
    ("rocket", "window"): _PORTHOLE,
    ("car", "window"): _words(
        "window",
        "windscreen, windshield, glass, side window, car window",
        "shiny thing, see-through thing, upper part",
        "finestrino, parabrezza, vetro, finestrini, finestra",
    ),
    ("sailboat", "sail"): _words(
        "sail",
        "sails, canvas, mainsail, jib, sailcloth",
        "triangle, white thing, cloth thing",
        "vela, vele, fiocco, randa",
    ),
    ("windmill", "sail"): _words(
        "sail",
        "blade, vane, rotor, propeller, mill arm, windmill blade, fan, wing",
        "cross, spinning thing, wooden thing",
        "pala, pale, ala, elica, vela, vele",
    ),
    ("car", "body"): _words(
        "body",
        "bodywork, car body, hood, bonnet, paintwork, chassis, car door, side panel",
        "metal part, metal thing, coloured thing",
        "carrozzeria, cofano, portiera, fiancata, scocca",
    ),
    ("fish", "body"): _words(
        "body",
        "scales, scale, belly, fish body, skin, side",
        "animal part, shiny thing, big thing",
        "corpo, squame, squama, pancia",
    ),
    ("bird", "body"): _words(
        "body",
        "belly, breast, chest, bird body, back",
        "animal part, soft thing, round thing",
        "corpo, pancia, petto, dorso",
    ),
    ("cat", "body"): _words(
        "body",
        "fur, coat, belly, back, cat body, chest",
        "animal part, soft thing, fluffy thing",
        "corpo, pelo, pelliccia, pancia, schiena",
    ),
    ("rocket", "body"): _words(
        "body",
        "fuselage, hull, rocket body, tube, cylinder, shaft",
        "metal part, metal thing, long thing",
        "corpo, fusoliera, scafo, cilindro",
    ),
    ("fish", "tail"): _words(
        "tail",
        "tail fin, fishtail, caudal fin",
        "back part, end, fan shape",
        "coda, code, pinna caudale",
    ),
    ("bird", "tail"): _words(
        "tail",
        "tail feather, tail feathers, tail end",
        "back part, end, pointed thing",
        "coda, code, piume della coda",
    ),
    ("cat", "tail"): _words(
        "tail",
        "cat's tail, furry tail, tail tip",
        "back part, end, curved thing",
        "coda, code, codina",
    ),
    ("fish", "fin"): _words(
        "fin",
        "fins, flipper, dorsal fin, side fin",
        "pointed thing, animal part, triangle",
        "pinna, pinne, pinna dorsale",
    ),
    ("rocket", "fin"): _words(
        "fin",
        "fins, wing, stabilizer, stabiliser, tail fin, rudder",
        "pointed thing, metal part, triangle",
        "pinna, pinne, aletta, alette, ala",
    ),
    ("train", "chimney"): _words(
        "chimney",
        "funnel, smokestack, stack, steam pipe, steam stack",
        "pipe, tube thing, tall thing",
        "ciminiera, camino, fumaiolo, comignolo",
    ),
    ("train", "window"): _words(
        "window",
        "windows, pane, glass, cab window, window pane",
        "opening, square, hole",
        "finestrino, finestrini, finestra, vetro, vetri",
    ),
}
