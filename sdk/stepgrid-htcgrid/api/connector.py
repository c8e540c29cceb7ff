"""Where HTC-Grid's scripts import their connector from; it is that of stepgrid.htcgrid.

Importing it turns logging on, unless the program did so before: HTC-Grid's does, and its example
clients say what they have to say by `logging.info`.
"""

import logging

from stepgrid.htcgrid import AWSConnector

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

__all__ = ["AWSConnector"]
