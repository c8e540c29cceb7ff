"""What HTC-Grid asks of AWS for one task, read off its code (finos/htc-grid, July 2026).

    client    S3 put of the input; at the end HEAD and GET of the output
    submit    state table: a batch of up to 25 items; SQS: a batch of up to 10 messages
    agent     receive, claim, change visibility, HEAD and GET of the input, run, put of the output,
              finish, delete

Its state table has two indexes over the task's state, so an item costs three write units when it
is made and five when its state moves (an index entry whose key changes is deleted and made anew).
boto3 downloads a file by HEAD and GET. Heartbeats, polls for results, the queue's empty answers and
the machines that its agents run on come on top. Its table is priced on demand, as ours is.
"""

from .bill import Usage

#: write units of an item with two indexes: made, moved
_MADE, _MOVED = 3, 5

#: (who and what for, requests and units of one task)
STEPS: tuple[tuple[str, Usage], ...] = (
    ("client: input to S3", Usage({"s3.PutObject": 1})),
    (
        "submit: item, in a batch of 25",
        Usage({"dynamodb.BatchWriteItem": 1 / 25}, {"write": _MADE}),
    ),
    ("submit: message, in a batch of 10", Usage({"sqs.SendMessageBatch": 1 / 10})),
    ("agent: receive the message", Usage({"sqs.ReceiveMessage": 1})),
    ("agent: claim the task", Usage({"dynamodb.UpdateItem": 1}, {"write": _MOVED})),
    ("agent: hide the message", Usage({"sqs.ChangeMessageVisibility": 1})),
    ("agent: input from S3", Usage({"s3.HeadObject": 1, "s3.GetObject": 1})),
    ("agent: output to S3", Usage({"s3.PutObject": 1})),
    ("agent: finish the task", Usage({"dynamodb.UpdateItem": 1}, {"write": _MOVED})),
    ("agent: delete the message", Usage({"sqs.DeleteMessage": 1})),
    ("client: output from S3", Usage({"s3.HeadObject": 1, "s3.GetObject": 1})),
)


def one_task(payloads_in_s3: bool = True) -> Usage:
    """All steps together; or those without payloads, which it may keep in Redis instead."""
    requests: dict[str, float] = {}
    units: dict[str, float] = {}
    steps = [step for _, step in STEPS if payloads_in_s3 or not _is_of_s3(step)]
    for step in steps:
        for name, count in step.requests.items():
            requests[name] = requests.get(name, 0) + count
        for unit, amount in step.units.items():
            units[unit] = units.get(unit, 0) + amount
    return Usage(requests, units)


def _is_of_s3(step: Usage) -> bool:
    return any(name.startswith("s3.") for name in step.requests)
