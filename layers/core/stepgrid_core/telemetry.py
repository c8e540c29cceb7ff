"""Structured logs and metrics of the functions, made once.

Log constant phrases with keys, one INFO for each change of state; never a token, a payload or a
secret. Metrics leave as EMF lines in the log, so they need no request.
"""

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics()
