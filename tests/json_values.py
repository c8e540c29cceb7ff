"""Values that JSON can say, and values that it can not."""

import math
from typing import Any

import hypothesis.strategies as st
import pytest

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)
NOT_JSON = [
    pytest.param(math.nan, id="NaN"),
    pytest.param(math.inf, id="infinity"),
    pytest.param({"deep": [-math.inf]}, id="infinity inside"),
    pytest.param({1, 2}, id="set"),
    pytest.param(b"bytes", id="bytes"),
    pytest.param(object(), id="object"),
    pytest.param(CIRCULAR, id="circular"),
    pytest.param({(1, 2): 3}, id="tuple as a key"),
]
