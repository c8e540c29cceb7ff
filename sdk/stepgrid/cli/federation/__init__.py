"""`stepgrid federation`: who works with whom, on which data. For whoever deployed the grid.

opening    options that all of them take, and the registrar
rendering  records as JSON and text (pure)
keys       where API keys and passwords go that are told once
document   federation.yaml from a file
applying, showing, organizations, collaborations, studies, nodes, users, roles
           the commands
"""

import click

from stepgrid.cli.context import InOrder
from stepgrid.cli.federation import (
    applying,
    collaborations,
    nodes,
    organizations,
    roles,
    showing,
    studies,
    users,
)


@click.group(cls=InOrder, short_help="Organizations that compute together.", no_args_is_help=False)
def federation() -> None:
    """Manage organizations that compute together on data that stays with each of them.

    This writes to the grid's table, with your AWS credentials. What is removed has no access from
    the next request on. docs/federation.md begins with nothing and ends with a first task.

    \b
    Examples:
      stepgrid federation apply federation.yaml --dry-run
      stepgrid federation apply federation.yaml --add-users --keys-dir keys
      stepgrid federation show
      stepgrid federation member remove heart Hygieia
      stepgrid federation node new-key heart Asclepius
    """


for command in (
    applying.apply,
    showing.show,
    organizations.organization,
    collaborations.collaboration,
    collaborations.member,
    nodes.node,
    users.user,
    studies.study,
    roles.role,
):
    federation.add_command(command)
