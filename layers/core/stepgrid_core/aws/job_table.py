"""The job items of the state table: how far each job has come, as its containers report it."""

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from ..records import JobRecord
from . import rows
from .rows import job_key
from .session_table import SessionTable
from .translate import code_of, translated

#: As JobRecord.is_replaced_by. Text, because all threads share the resource's builder.
REPLACEABLE = (
    "attribute_not_exists(pk) OR #attempt < :attempt"
    " OR (#attempt = :attempt AND #terminal = :terminal)"
)


class JobTable(SessionTable):
    """The part of AwsStateTable that knows jobs."""

    def put_job(self, session_id: str, index: int, record: JobRecord, expires_at: int) -> bool:
        item = rows.write_job(session_id, index, record, expires_at)
        try:
            with translated(f"table {self._name}"):
                self._table.put_item(
                    Item=item,
                    ConditionExpression=REPLACEABLE,
                    ExpressionAttributeNames={"#attempt": "attempt", "#terminal": "terminal"},
                    ExpressionAttributeValues={":attempt": record.attempt, ":terminal": False},
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            # The answer to our own report may have been lost.
            return self.read_job(session_id, index) == record
        return True

    def read_job(self, session_id: str, index: int) -> JobRecord | None:
        item = self._get(job_key(session_id, index))
        return None if item is None else rows.read_job(item)

    def read_jobs(self, session_id: str, first: int, limit: int) -> dict[int, JobRecord]:
        pk, lowest = job_key(session_id, first).values()
        highest = job_key(session_id, first + limit - 1)["sk"]
        items = self._query(
            Key("pk").eq(pk) & Key("sk").between(lowest, highest),
            ConsistentRead=True,
        )
        return {int(item["sk"].removeprefix("JOB#")): rows.read_job(item) for item in items}
