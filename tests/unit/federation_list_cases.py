"""The permission matrix, continued: routes that list what is near and far."""

from .federation_reach import ANY, COLLABORATION, ORGANIZATION, OWN, ListCase
from .federation_world import COLLEAGUE, PEER, PEERS_ROLE, ROLE, STRANGER, STRANGERS_ROLE, USERS

_FIVE = dict.fromkeys(range(1, 6), (OWN, OWN))
LISTS: list[ListCase] = [
    ListCase(
        "GET",
        "/organization",
        "organization v",
        {
            1: (ORGANIZATION, ORGANIZATION),
            2: (COLLABORATION, COLLABORATION),
            3: (ANY, ANY),
            4: (ANY, ANY),
        },
    ),
    ListCase(
        "GET",
        "/collaboration",
        "collaboration v",
        {
            1: (COLLABORATION, COLLABORATION),
            2: (ANY, ANY),
            3: (COLLABORATION, ANY),
            4: (COLLABORATION, ANY),
        },
        no_containers=True,
    ),
    ListCase(
        "GET",
        "/study",
        "study v",
        {1: (ORGANIZATION, ORGANIZATION), 2: (COLLABORATION, COLLABORATION), 3: (ANY, ANY)},
        no_containers=True,
    ),
    ListCase(
        "GET",
        "/node",
        "node v",
        {
            1: (ORGANIZATION, OWN),
            2: (COLLABORATION, COLLABORATION),
            3: (ANY, ANY),
            4: (ORGANIZATION, ORGANIZATION),
        },
        no_containers=True,
    ),
    ListCase(
        "GET",
        "/user",
        "user v",
        {
            **dict.fromkeys((*USERS.values(), COLLEAGUE), (ORGANIZATION, ANY)),
            PEER: (COLLABORATION, ANY),
            STRANGER: (ANY, ANY),
        },
        users_only=True,
        hidden=True,
    ),
    ListCase(
        "GET",
        "/role",
        "role v",
        {
            **_FIVE,
            ROLE: (ORGANIZATION, ANY),
            PEERS_ROLE: (COLLABORATION, ANY),
            STRANGERS_ROLE: (ANY, ANY),
        },
        users_only=True,
        hidden=True,
    ),
    ListCase("GET", "/rule", "rule v", dict.fromkeys(range(1, 87), (ANY, ANY)), users_only=True),
]
