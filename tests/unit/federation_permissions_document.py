"""Writes docs/federation-permissions.md from the permission matrix:

python -m tests.unit.federation_permissions_document > docs/federation-permissions.md
"""

from .federation_cases import USER_ROUTE
from .federation_matrix import CASES, LISTS
from .federation_open_cases import OPEN
from .federation_reach import (
    ANY,
    COLLABORATION,
    COLUMNS,
    ORGANIZATION,
    OWN,
    REACH,
    Case,
    ListCase,
    OpenCase,
    is_machine,
)

UNAUTHORIZED = 401
_WORDS = {OWN: "own", ORGANIZATION: "organization", COLLABORATION: "collaboration", ANY: "any"}


def write_document() -> str:
    """docs/federation-permissions.md."""
    names = [name.capitalize() for name in COLUMNS]
    head = ["Route", *names]
    lines = [
        "# Who may do what in a federation",
        "",
        "Made by `make fmt` from what the permission matrix is tested against",
        "(`tests/unit/federation_reach.py`): every route, asked by everybody, for what is near",
        "and far. Do not edit.",
        "",
        "How far a right reaches: *own* (oneself), *organization* (what belongs to one's",
        "organization), *collaboration* (what belongs to an organization that one's own works with",
        "in a collaboration), *any*. Of a collaboration all of one's own are within",
        "*collaboration*; a node and its containers are in that of the node only. Tasks and runs",
        "belong to the organization that asked for them, until it leaves their collaboration; to",
        "a node, which says how they go, belong the runs of its organization. A container's *own*",
        "are the tasks of its job. Without a token every route answers 401, but for those of the",
        "last table.",
        "",
        "A custom role, or single rules of a user, reach as their rules say. What is out of reach",
        "is answered 404, like what is not there; 401 is said of what the caller may see, and",
        "where no rule allows the operation at all, whatever the id.",
        "",
        *_table(head, [_row(case) for case in sorted(_all_cases(), key=_by_route)]),
        "",
        "Beside the rules: nobody gives or takes a rule or role with more than the own rules,",
        "nobody changes the own roles, a default role is nobody's to change, and a public key is",
        "changed by its own organization only.",
        "",
        "## Without rules",
        "",
        *_table(
            ["Route", "Who"],
            [[f"`{case.method} {case.route}`", _who(case)] for case in OPEN],
        ),
    ]
    return "\n".join(lines) + "\n"


def _all_cases() -> list[Case | ListCase]:
    return [*CASES, *LISTS]


def _by_route(case: Case | ListCase) -> tuple[str, str]:
    return case.route, case.method


def _row(case: Case | ListCase) -> list[str]:
    cells = [_cell(case, name) for name in COLUMNS]
    return [f"`{case.method} {case.route.replace(USER_ROUTE, '/user/{id}')}`", *cells]


def _cell(case: Case | ListCase, principal: str) -> str:
    machine_refused = is_machine(principal) and case.users_only
    if machine_refused or (principal == "container" and case.no_containers):
        return ""
    reach = REACH[case.right][principal]
    return "" if reach is None else _WORDS[reach]


def _who(case: OpenCase) -> str:
    if case.statuses["node"] != case.statuses["root"]:
        return "nodes" if case.statuses["root"] == UNAUTHORIZED else "users"
    return "everybody" if case.statuses[None] == case.statuses["root"] else "all with a token"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


if __name__ == "__main__":
    print(write_document(), end="")
