"""Fixtures of the integration tests."""

from tests.integration.emulator_bench import cloud, kind
from tests.integration.jobs_bench import jobs_root, make_bench, server
from tests.integration.runner_bench import make_runner

__all__ = ["cloud", "jobs_root", "kind", "make_bench", "make_runner", "server"]
