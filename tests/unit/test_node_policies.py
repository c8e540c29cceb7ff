"""What a node lets run: images, users, organizations."""

from typing import Any

import pytest

from stepgrid.node.config import Algorithm, Policies
from stepgrid.node.policies import Names, find_algorithm, is_allowed_image, why_refused

IMAGE = "harbor.test/group/average:1.0"


def task(user: int | None = 7, organization: int = 2) -> dict[str, Any]:
    init_user = None if user is None else {"id": user}
    return {"image": IMAGE, "init_user": init_user, "init_org": {"id": organization}}


def is_let(policies: dict[str, Any], asked: dict[str, Any] | None = None) -> bool:
    """Users are called user7 and so on, organizations hospital2."""
    names = Names(lambda id: f"user{id}", lambda id: f"hospital{id}")
    return why_refused(Policies(**policies), asked or task(), names) is None


@pytest.mark.parametrize(
    ("policy", "image", "fits"),
    [
        (IMAGE, IMAGE, True),
        ("harbor.test/group/average", IMAGE, True),
        ("harbor.test/group/average", f"{IMAGE}@sha256:00", True),
        ("harbor.test:5000/average", "harbor.test:5000/average:2", True),
        ("harbor.test:5000/average", "harbor.test:5000/average@sha256:00", True),
        ("harbor.test/group/average:2.0", IMAGE, False),
        ("harbor.test/group", IMAGE, False),
        ("harborXtest/group/average", IMAGE, False),
        ("harbor.test/group/average", "harborXtest/group/average", False),
        (r"harbor\.test/group/.*", IMAGE, True),
        (r"^harbor\.test/[a-z]+/average$", IMAGE, False),
        (r"group/.*", IMAGE, False),
    ],
)
def test_images_are_named_or_fit_a_pattern(policy: str, image: str, fits: bool) -> None:
    """A plain name with any tag, as in vantage6; a dot alone makes no pattern."""
    assert is_allowed_image([policy], image) is fits
    assert is_allowed_image(["something/else", policy], image) is fits


def test_without_policies_everything_may_run() -> None:
    assert is_let({})


@pytest.mark.parametrize(
    ("policies", "let"),
    [
        ({"allowed_users": ["7"]}, True),
        ({"allowed_users": ["user7"]}, True),
        ({"allowed_users": ["8", "user8"]}, False),
        ({"allowed_organizations": ["2"]}, True),
        ({"allowed_organizations": ["hospital2"]}, True),
        ({"allowed_organizations": ["7"]}, False),
        ({"allowed_users": ["8"], "allowed_organizations": ["2"]}, True),
        ({"allowed_users": ["7"], "allowed_algorithms": ["other"]}, False),
        ({"allowed_users": ["8"], "allowed_algorithms": [IMAGE]}, False),
    ],
)
def test_senders_are_known_by_id_or_name(policies: dict[str, Any], let: bool) -> None:
    """User or organization is enough; the image has to be allowed as well."""
    assert is_let(policies) is let


def test_nobody_is_no_allowed_user() -> None:
    assert not is_let({"allowed_users": ["7", "None"]}, task(user=None))


def test_a_name_that_is_not_known_is_not_allowed() -> None:
    """The server may refuse to tell."""
    unknown = Names(lambda _: None, lambda _: None)
    refused = why_refused(Policies(allowed_users=("ann",)), task(), unknown)
    assert refused is not None
    assert "does not allow" in refused


def test_names_are_asked_for_only_where_the_file_has_some() -> None:
    asked: list[int] = []
    names = Names(asked.append, asked.append)
    why_refused(Policies(allowed_users=("1",), allowed_organizations=("3",)), task(), names)
    assert asked == []


def test_the_first_algorithm_that_fits_is_taken() -> None:
    exact = Algorithm(image=IMAGE, python="a")
    rest = Algorithm(image="harbor.test/*", container=True)
    assert find_algorithm([exact, rest], IMAGE) is exact
    assert find_algorithm([exact, rest], "harbor.test/other") is rest
    assert find_algorithm([exact, rest], "other.test/x") is None


@pytest.mark.parametrize("image", ["--privileged", "-v", "a b", "a\nb", "", "a;b", "a$(b)"])
def test_what_is_no_name_of_an_image_runs_nothing(image: str) -> None:
    """Else it could be an option of docker's."""
    assert find_algorithm([Algorithm(image="*", container=True)], image) is None
