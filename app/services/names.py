"""What players are called who have given no name."""

import hashlib
from typing import Final
from uuid import UUID

_LIGHTS: Final = """
Amber Azure Bright Brisk Calm Clear Copper Coral Crimson Curious Dappled Dawning Dusky Early
Ember Fleet Gentle Gilded Glowing Golden Hazel Indigo Ivory Jade Keen Lively Lucid Lunar
Merry Mild Misty Noble Opal Patient Pearly Plucky Quick Quiet Rosy Ruby Russet Sandy Scarlet
Serene Silver Solar Starry Steady Still Sunlit Swift Teal Tidal Tranquil Vivid Violet Warm
Wandering Watchful Willow Winter Wise Wistful Zesty"""
_ANIMALS: Final = """
Badger Bee Bison Bittern Carp Cricket Crane Curlew Deer Dolphin Dormouse Dove Eagle Eel Egret
Falcon Ferret Finch Firefly Fox Gecko Goose Grebe Hare Hawk Heron Hoopoe Ibex Ibis Jackdaw
Jay Kestrel Kite Lark Linnet Lynx Marten Moth Newt Nuthatch Octopus Oriole Osprey Otter Owl
Panda Perch Plover Puffin Quail Rabbit Raven Robin Salmon Seal Sparrow Squid Stork Swallow
Swan Tern Thrush Toad Wren"""


def public_name(player_id: UUID) -> str:
    """What others read for a player who has given no name: "Amber Heron 27". From a digest of the
    id, which itself is shown to nobody."""
    digest = hashlib.sha256(b"public name" + player_id.bytes).digest()
    light, animal = _LIGHTS.split()[digest[0] % 64], _ANIMALS.split()[digest[1] % 64]
    return f"{light} {animal} {int.from_bytes(digest[2:4], 'big') % 90 + 10}"
