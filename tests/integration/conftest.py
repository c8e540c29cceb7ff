"""Fixtures of the integration tests."""

from tests.integration.runner_bench import make_runner

__all__ = ["make_runner"]
