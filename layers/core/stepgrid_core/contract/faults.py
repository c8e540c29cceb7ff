"""What is wrong with a request, in words for whoever sent it."""

from pydantic import ValidationError


def read_faults(error: ValidationError) -> list[tuple[str, str]]:
    """Where and what, of each; never the value, which may be a payload."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    # A validator of ours has said all there is to say; that it raised a ValueError is no news.
    return [
        (".".join(str(part) for part in fault["loc"]), fault["msg"].removeprefix("Value error, "))
        for fault in faults
    ]


def first_fault(error: ValidationError, whole: str = "the request") -> str:
    """`where: what`. whole: the place of what is wrong with no field alone."""
    where, what = read_faults(error)[0]
    return f"{where or whole}: {what}"
