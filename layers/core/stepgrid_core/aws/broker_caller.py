"""Broker on Lambda: each question is one invocation of the broker function."""

import json
from collections.abc import Mapping
from typing import Any

from ..errors import Unavailable
from .translate import make_client, translated


class AwsBroker:
    def __init__(self, function: str) -> None:
        self._function = function
        # It may have to start first, and has 29 s for an answer.
        self._lambda = make_client("lambda", read_timeout=30)

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        with translated(f"broker {self._function}"):
            reply = self._lambda.invoke(
                FunctionName=self._function, Payload=json.dumps(question).encode()
            )
        answer: dict[str, Any] = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            said = answer.get("errorMessage", "no reason was given")
            raise Unavailable(f"broker {self._function} failed: {said}")
        return answer
