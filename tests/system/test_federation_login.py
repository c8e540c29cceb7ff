"""Tokens and logins of a federation against the real API: KMS signs, Cognito knows the users."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests

from stepgrid import Grid
from stepgrid.local import LocalCloud
from stepgrid.local.emulator import REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY
from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import Collaboration, Node, Organization, User
from stepgrid_core.federation.registry import Registry, marks_of

API_KEY = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"
#: Not those of the other tests of the same cloud.
ORGANIZATION, COLLABORATION, NODE, USER = 9001, 9001, 9001, 9001


@dataclass(frozen=True)
class Site:
    """The deployed federation as a client sees it."""

    base: str  #: scheme and host
    stage: str  #: and what the local cloud has before it: the path up to the routes
    username: str
    password: str

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> requests.Response:
        """path: behind the stage, or with it, as URLs in answers are."""
        staged = path if path.startswith(f"{self.stage}/") else self.stage + path
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with requests.Session() as http:
            http.trust_env = False
            return http.request(method, self.base + staged, json=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def site(cloud: LocalCloud) -> Iterator[Site]:
    """With one organization, whose user is the one that `up` makes, and its node."""
    status = cloud.status()
    endpoint, config = status.endpoint, status.agent_config_path
    assert endpoint is not None
    assert config is not None
    login = json.loads(config.read_text())
    found = cloud.client("cognito-idp").admin_get_user(
        UserPoolId=status.outputs["UserPoolId"], Username=login["username"]
    )
    (subject,) = (each["Value"] for each in found["UserAttributes"] if each["Name"] == "sub")
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=status.aws_endpoint_url,
        region_name=REGION,
        aws_access_key_id=ROOT_ACCESS_KEY_ID,
        aws_secret_access_key=ROOT_SECRET_ACCESS_KEY,
    )
    registry = Registry(AwsFederationTable(status.outputs["TableName"], resource))
    records = (
        Organization(ORGANIZATION, "Login"),
        Collaboration(COLLABORATION, "logins", organization_ids=(ORGANIZATION,)),
        Node(NODE, "login-node", ORGANIZATION, COLLABORATION, key_hash=hash_key(API_KEY)),
        User(USER, login["username"], subject, ORGANIZATION),
    )
    for record in records:
        assert registry.create(record, marks_of(record))
    address = urlsplit(endpoint)
    base, stage = f"{address.scheme}://{address.netloc}", address.path.removesuffix("/v1")
    yield Site(base, stage, login["username"], login["password"])
    for record in records:
        registry.delete(record, marks_of(record))


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_anybody_may_ask_for_the_version(site: Site, prefix: str) -> None:
    """And whether it is there: no signature, no token."""
    assert site.ask("GET", f"{prefix}/version").json() == {"version": "4.15.2"}
    assert site.ask("GET", f"{prefix}/health").json() == {"database": True}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_signed_routes_stay_signed(site: Site, method: str) -> None:
    """The longer path wins: no token of a federation, and no detour, leads to /v1."""
    token = site.ask("POST", "/token/node", {"api_key": API_KEY}).json()["access_token"]
    for path in ("/v1/sessions", "/v1/quota"):
        assert site.ask(method, path).status_code == 403
        assert site.ask(method, path, token=token).status_code == 403
    assert site.ask(method, "/api/v1/sessions").status_code == 404


def test_kottas_routes_are_where_they_were(site: Site) -> None:
    answered = site.ask("GET", "/rest/v1/list_tasks").json()
    assert answered == {"status": "Fail", "reason": "access_token missing"}


def test_a_body_of_a_signed_request_arrives(make_grid: Callable[[str], Grid]) -> None:
    """As bytes, since the API takes any type for binary."""
    grid = make_grid("quant")
    session = grid.submit("mock-compute", [{"worker_arguments": ["5", "1", "1"]}])
    assert len(list(session.results())) == 1


class TestNodes:
    @pytest.fixture
    def tokens(self, site: Site) -> dict[str, str]:
        found: dict[str, str] = site.ask("POST", "/api/token/node", {"api_key": API_KEY}).json()
        return found

    def test_an_api_key_becomes_tokens(self, site: Site, tokens: dict[str, str]) -> None:
        """Signed by KMS, and verified by the key that it tells."""
        answered = site.ask("GET", "/api/blobstream/status", token=tokens["access_token"])
        assert answered.json() == {"blob_store_enabled": False}

    def test_another_signature_is_refused(self, site: Site, tokens: dict[str, str]) -> None:
        message = tokens["access_token"].rpartition(".")[0]
        signature = tokens["refresh_token"].rpartition(".")[2]
        answered = site.ask("GET", "/blobstream/status", token=f"{message}.{signature}")
        assert answered.status_code == 401

    def test_a_refresh_goes_to_the_url_of_the_answer(
        self, site: Site, tokens: dict[str, str]
    ) -> None:
        """Which has the stage."""
        refreshed = site.ask("POST", tokens["refresh_url"], token=tokens["refresh_token"])
        assert refreshed.status_code == 200
        token = refreshed.json()["access_token"]
        assert site.ask("GET", "/blobstream/status", token=token).status_code == 200

    def test_an_unknown_key_is_refused(self, site: Site) -> None:
        answered = site.ask("POST", "/api/token/node", {"api_key": "unknown"})
        assert (answered.status_code, answered.json()["msg"]) == (401, "Api key is not recognized!")


class TestUsers:
    @pytest.fixture
    def tokens(self, site: Site) -> dict[str, str]:
        body = {"username": site.username, "password": site.password}
        found: dict[str, str] = site.ask("POST", "/api/token/user", body).json()
        return found

    def test_a_password_becomes_tokens(self, site: Site, tokens: dict[str, str]) -> None:
        assert tokens["user_url"] == f"{site.stage}/api/user/{USER}"
        answered = site.ask("GET", "/api/blobstream/status", token=tokens["access_token"])
        assert answered.status_code == 200

    def test_a_refresh_answers_both_tokens(self, site: Site, tokens: dict[str, str]) -> None:
        """And the new one is good."""
        refreshed = site.ask("POST", tokens["refresh_url"], token=tokens["refresh_token"]).json()
        assert refreshed["refresh_token"]
        token = refreshed["access_token"]
        assert site.ask("GET", "/blobstream/status", token=token).status_code == 200

    def test_another_signature_is_refused(self, site: Site, tokens: dict[str, str]) -> None:
        """Cognito says so: what a token says of itself counts for nothing."""
        message, _, signature = tokens["access_token"].rpartition(".")
        forged = f"{message}.{signature[::-1]}"
        assert site.ask("GET", "/blobstream/status", token=forged).status_code == 401

    @pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": "nobody"}])
    def test_a_wrong_password_is_refused(self, site: Site, changes: dict[str, str]) -> None:
        body = {"username": site.username, "password": site.password, **changes}
        answered = site.ask("POST", "/api/token/user", body)
        assert (answered.status_code, answered.json()) == (401, {"msg": "Failed to login"})
