"""Where HTC-Grid's scripts import their connector from; it is that of stepgrid.htcgrid."""

from stepgrid.htcgrid import AWSConnector

__all__ = ["AWSConnector"]
