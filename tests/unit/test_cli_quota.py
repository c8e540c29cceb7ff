"""`stepgrid quota`: what an owner sees, and what an operator sets."""

import json
from dataclasses import dataclass, field
from typing import Any

from stepgrid.cli.context import App
from stepgrid.testing import InMemoryGrid
from stepgrid_core.budgets import Quota
from tests.unit.cli_fakes import run_app

OWNER = "arn:aws:iam::000000000000:user/tester"


def test_an_owner_sees_what_it_has_and_may_have() -> None:
    """Who it is to the grid as well, which is what an operator needs."""
    memory = InMemoryGrid({"work": lambda task, context: task}, settings={"owner_tasks": 50})
    app = App(open_grid=memory.client)
    assert run_app(app, "quota").stdout.splitlines() == [
        f"owner           {OWNER}",
        "open sessions   0",
        "tasks in them   0 of 50",
        "chunks at once  no limit",
    ]
    shown = json.loads(run_app(app, "quota", "--json").stdout)
    assert (shown["owner"], shown["max_tasks"], shown["max_sessions"]) == (OWNER, 50, None)


@dataclass
class FakeRegistrar:
    """Keeps one quota."""

    asked: list[Any] = field(default_factory=list)
    quota: Quota = field(default_factory=Quota)

    def set_quota(self, owner: str, **quota: Any) -> None:
        self.asked.append((owner, quota))
        self.quota = Quota(quota["sessions"], quota["tasks"], quota["concurrency"])

    def read_quota(self, owner: str) -> Quota:
        return self.quota


def test_an_operator_sets_and_shows_quotas() -> None:
    """What is not given is as for everybody."""
    registrar = FakeRegistrar()
    app = App(open_registrar=lambda stack, region, project_dir: registrar)  # type: ignore[arg-type, return-value]
    done = run_app(app, "quota", "set", OWNER, "--sessions", "3", "--concurrency", "0")
    assert done.exit_code == 0
    assert registrar.asked == [(OWNER, {"sessions": 3, "tasks": None, "concurrency": 0})]
    assert done.stdout.splitlines() == [
        f"owner           {OWNER}",
        "open sessions   3",
        "tasks in them   as for everybody",
        "chunks at once  0 on each worker",
    ]
    shown = json.loads(run_app(app, "quota", "show", OWNER, "--json").stdout)
    assert shown == {"owner": OWNER, "max_sessions": 3, "max_tasks": None, "max_concurrency": 0}
