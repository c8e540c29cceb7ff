"""Where HTC-Grid's user guide imports its client from; it is that of stepgrid.htcgrid."""

from stepgrid.htcgrid import HTCGridClient

__all__ = ["HTCGridClient"]
