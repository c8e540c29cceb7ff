"""The tasks of the Celery contender, as its worker processes import them."""

import os

from celery import Celery

from tests.benchmarks import workload

#: Set by the contender before anything here is imported.
SERVER_VARIABLE = "STEPGRID_BENCHMARK_REDIS"

app = Celery("benchmark", broker=os.environ[SERVER_VARIABLE], backend=os.environ[SERVER_VARIABLE])
app.conf.broker_connection_retry_on_startup = True

echo = app.task(workload.echo, name="echo")
echo_all = app.task(workload.echo_all, name="echo_all")
nap = app.task(workload.nap, name="nap")
