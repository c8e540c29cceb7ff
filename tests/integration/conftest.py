"""Fixtures of the integration tests."""

from tests.integration.jobs_bench import jobs_root, make_bench, server
from tests.integration.runner_bench import make_runner

__all__ = ["jobs_root", "make_bench", "make_runner", "server"]
