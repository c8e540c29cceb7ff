"""Registers plain functions as workers, sets limits and quotas: what a grid's operator does.

    register:    look at the function --> tag it, so that the relay may call it --> write its item
    unregister:  remove the item --> remove the tag

It works on the deployed stack itself, with the operator's AWS credentials. The API has no route for
it: whoever may submit tasks must not be able to make the grid call any function of the account.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from stepgrid_core.aws.quota_registry import AwsQuotaRegistry
from stepgrid_core.aws.worker_registry import AwsWorkerRegistry
from stepgrid_core.budgets import Quota
from stepgrid_core.errors import ConfigurationError, Conflict, InvalidRequest, NotFound
from stepgrid_core.names import WORKER_NAME
from stepgrid_core.registration import Registration

#: Its value is the stack's name; the relay's policy asks for it (template.yaml).
TAG = "stepgrid:worker"
#: What the emulator runs by itself. It answers for other runtimes without running anything.
EMULATED_RUNTIMES = ("python", "nodejs", "provided")
#: Entries of a function's ARN up to its name; a version or alias follows.
ARN_PARTS = 7


@dataclass(frozen=True, slots=True)
class GridStack:
    """The deployed stack, as its outputs tell of it."""

    name: str
    table: str
    worker_prefix: str
    relay: str
    home: str  #: the beginning of the ARN of every function in its account and Region
    emulated: bool = False

    @classmethod
    def read(cls, name: str, outputs: Mapping[str, str], emulated: bool = False) -> "GridStack":
        """Raises ConfigurationError for a stack that is no grid's, or an older one's."""
        try:
            partition, _, region, account = outputs["EventBusArn"].split(":")[1:5]
            return cls(
                name=name,
                table=outputs["TableName"],
                worker_prefix=outputs["WorkerPrefix"],
                relay=outputs["RelayFunctionName"],
                home=f"arn:{partition}:lambda:{region}:{account}:function:",
                emulated=emulated,
            )
        except KeyError as error:
            raise ConfigurationError(
                f"stack {name!r} has no output {error}: deploy this version of the template to it"
            ) from error


#: See functions/api/identity.py.
OWNER_PREFIXES = ("arn:", "cognito:")


class Registrar:
    """Workers of one grid. `client` answers boto3 clients by the name of the service."""

    def __init__(self, stack: GridStack, client: Callable[[str], Any]) -> None:
        self._stack = stack
        self._lambda = client("lambda")
        self._registry = AwsWorkerRegistry(stack.table, client("dynamodb"))
        self._quotas = AwsQuotaRegistry(stack.table, client("dynamodb"))

    def register(
        self,
        name: str,
        function: str,
        *,
        timeout_seconds: int | None = None,
        concurrency: int | None = None,
    ) -> Registration:
        """Let tasks be submitted to a function under this name; repeating it is no error.

        function: name or ARN, also of a version or an alias. timeout_seconds: that a task may take
        at most; the function's own timeout when left out. concurrency: chunks that run at once.
        Raises InvalidRequest for a name or function that can't be a worker, NotFound if there is
        no such function, Conflict if the name or the function is taken.
        """
        if not re.fullmatch(WORKER_NAME, name):
            raise InvalidRequest(
                f"{name!r} is no name of a worker: a small letter, then small letters, digits, -"
            )
        self._refuse_package(name)
        found = self._describe(function)
        self._check(function, found)
        registration = Registration(
            name=name,
            target=found["FunctionArn"],
            runtime=found.get("Runtime", ""),
            timeout_seconds=_timeout(timeout_seconds, found),
            memory_mib=found["MemorySize"],
            concurrency=concurrency,
        )
        self._tag(registration.target)
        self._registry.register(registration)
        return registration

    def unregister(self, name: str) -> None:
        """Sessions that run go on until their next call of the function is refused.

        Raises NotFound if no function is registered under this name.
        """
        registration = self._registry.read(name)
        if registration is None or not self._registry.unregister(name):
            raise NotFound(f"no function is registered as {name!r}")
        function = _unqualified(registration.target)
        targets = (_unqualified(other.target) for other in self._registry.list_registered())
        if function not in targets:
            self._untag(function)

    def limit(self, name: str, concurrency: int | None) -> None:
        """Let so many chunks of a worker of either kind run at once; None: the grid's own number.

        Raises NotFound if there is no such worker.
        """
        if self._registry.read(name) is None and not self._is_package(name):
            raise NotFound(f"there is no worker {name!r}; `stepgrid workers list` shows them")
        self._registry.limit(name, concurrency)

    def set_quota(
        self,
        owner: str,
        *,
        sessions: int | None = None,
        tasks: int | None = None,
        concurrency: int | None = None,
    ) -> None:
        """What one owner may have at work; None: as everybody. It holds a minute later at most.

        owner: as `Grid.quota` shows it. sessions: open ones. tasks: in them. concurrency: chunks
        at once on one worker. Raises InvalidRequest for what can't be an owner.
        """
        if not owner.startswith(OWNER_PREFIXES):
            raise InvalidRequest(
                f"{owner!r} is no owner: one begins with {' or '.join(OWNER_PREFIXES)}, and "
                "`stepgrid quota` shows it to whoever runs it"
            )
        self._quotas.set(owner, Quota(sessions, tasks, concurrency))

    def read_quota(self, owner: str) -> Quota:
        """What was set for this owner."""
        return self._quotas.read(owner)

    def _refuse_package(self, name: str) -> None:
        if self._is_package(name):
            raise Conflict(
                f"{name!r} is a worker of the stack already "
                f"({self._stack.worker_prefix}{name}); choose another name"
            )

    def _is_package(self, name: str) -> bool:
        try:
            self._describe(self._stack.worker_prefix + name)
        except NotFound:
            return False
        return True

    def _describe(self, function: str) -> dict[str, Any]:
        with _told(function):
            found: dict[str, Any] = self._lambda.get_function_configuration(FunctionName=function)
            return found

    def _check(self, function: str, found: Mapping[str, Any]) -> None:
        name, runtime = found["FunctionName"], found.get("Runtime", "")
        if not found["FunctionArn"].startswith(self._stack.home):
            raise InvalidRequest(
                f"{found['FunctionArn']} is in another account or Region; the grid calls functions "
                f"that begin with {self._stack.home}"
            )
        if name == self._stack.relay or name.startswith(self._stack.worker_prefix):
            raise InvalidRequest(f"{name} belongs to the grid itself; it needs no registration")
        if self._stack.emulated and not runtime.startswith(EMULATED_RUNTIMES):
            raise InvalidRequest(
                f"the local cloud can't run {function} ({runtime or 'a container image'}): its "
                "emulator would answer without running it. It runs "
                f"{', '.join(EMULATED_RUNTIMES)}; register the function with a grid on AWS"
            )
        if found.get("State") == "Failed":
            raise InvalidRequest(f"{name} is not usable: {found.get('StateReason', 'it failed')}")

    def _tag(self, target: str) -> None:
        function = _unqualified(target)
        with _told(function):
            owner = self._lambda.list_tags(Resource=function).get("Tags", {}).get(TAG)
            if owner not in (None, self._stack.name):
                raise Conflict(
                    f"{function} is registered with stack {owner!r} (tag {TAG}); a function works "
                    "for one grid: unregister it there, or deploy a second one"
                )
            self._lambda.tag_resource(Resource=function, Tags={TAG: self._stack.name})

    def _untag(self, function: str) -> None:
        try:
            with _told(function):
                self._lambda.untag_resource(Resource=function, TagKeys=[TAG])
        except NotFound:
            return  # the function was deleted, and its tags with it


@contextmanager
def _told(function: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise
        raise NotFound(
            f"there is no function {function}; deploy it first, then register"
        ) from error


def _unqualified(arn: str) -> str:
    """Tags belong to a function with all its versions and aliases."""
    return ":".join(arn.split(":")[:ARN_PARTS])


def _timeout(wanted: int | None, found: Mapping[str, Any]) -> int:
    own: int = found["Timeout"]
    if wanted is not None and wanted > own:
        raise InvalidRequest(
            f"timeout_seconds is {wanted}, but Lambda ends {found['FunctionName']} after {own} s; "
            "raise the function's own timeout first"
        )
    return wanted or own
