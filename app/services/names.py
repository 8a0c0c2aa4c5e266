"""What players are called: by their account's name, or by one that is made up for a guest."""

import hashlib
from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Account

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


def public_names(session: Session, player_ids: Collection[UUID]) -> dict[UUID, str]:
    """What others read for each of these players: the name of the account, or one made up for a
    guest. One query, however many they are."""
    rows = session.execute(
        select(Account.player_id, Account.name).where(Account.player_id.in_(player_ids))
    )
    own = {row.player_id: row.name for row in rows}
    return {player_id: own.get(player_id) or made_up_name(player_id) for player_id in player_ids}


def public_name(session: Session, player_id: UUID) -> str:
    """What others read for a player: see `public_names`."""
    return public_names(session, [player_id])[player_id]


def made_up_name(player_id: UUID) -> str:
    """The name of a player who has given none: "Amber Heron 27". From a digest of the id, which
    itself is shown to nobody."""
    digest = hashlib.sha256(b"public name" + player_id.bytes).digest()
    light, animal = _LIGHTS.split()[digest[0] % 64], _ANIMALS.split()[digest[1] % 64]
    return f"{light} {animal} {int.from_bytes(digest[2:4], 'big') % 90 + 10}"
