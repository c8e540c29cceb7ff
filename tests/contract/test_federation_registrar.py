"""The registrar of a federation against DynamoDB and Cognito (moto), with clients of its own."""

from collections.abc import Iterator

import boto3
import pytest

from stepgrid.cognito_wire import USERS, Wire
from stepgrid.federation_registrar import FederationRegistrar, open_federation
from stepgrid.users import Users
from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.errors import NotFound
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import Node, Organization, User
from stepgrid_core.federation.registry import Registry
from tests.unit.federation_documents import SMALL, Keys, document, told

from .aws_stack import REGION, TABLE, AwsStack


@pytest.fixture
def users(stack: AwsStack) -> Iterator[Users]:
    pool = boto3.client("cognito-idp").create_user_pool(PoolName="users")["UserPool"]["Id"]
    made = Users(Wire(USERS, f"https://cognito-idp.{REGION}.amazonaws.com"), pool)
    yield made
    made.close()


@pytest.fixture
def registrar(stack: AwsStack, users: Users) -> FederationRegistrar:
    return open_federation(stack.create_table(), boto3.resource("dynamodb"), lambda: users)


def registry() -> Registry:
    """As the functions read it."""
    return Registry(AwsFederationTable(TABLE))


def test_a_document_is_applied_with_logins(registrar: FederationRegistrar, users: Users) -> None:
    """The functions find users by the subject of their login, and nodes by their keys."""
    wanted, keys, passwords = document(SMALL), Keys(), dict[str, str]()
    with pytest.raises(NotFound, match="'ada': no login"):
        registrar.plan(wanted)
    plan, logins = registrar.plan(wanted, add_users=True)
    registrar.carry_out(plan, logins, give_key=keys.give, give_password=passwords.__setitem__)
    assert list(passwords) == ["ada"]
    ada = registry().user_of(users.find("ada").subject)
    assert ada is not None
    assert ada.username == "ada"
    for name, key in keys.items():
        node = registry().find_named(Node, name)
        assert node is not None
        assert registry().table.find(f"key:{hash_key(key)}") == node.id
    plan, _ = registrar.plan(wanted)
    assert told(plan.changes) == []


def test_who_is_removed_is_gone_at_once(registrar: FederationRegistrar, users: Users) -> None:
    """From the table that is read at every request; with everything that led to it."""
    users.add("ada")
    wanted, keys = document(SMALL), Keys()
    plan, logins = registrar.plan(wanted)
    registrar.carry_out(plan, logins, give_key=keys.give, give_password=keys.__setitem__)
    registrar.remove_user("ada")
    registrar.remove_member("heart", "b")
    assert registry().find_all(User) == []
    assert registry().user_of(users.find("ada").subject) is None
    b = registry().find_named(Organization, "b")
    assert b is not None
    assert registry().collaborations_of(b.id) == []
    assert registry().table.find(f"key:{hash_key(keys['b - heart Node'])}") is None
