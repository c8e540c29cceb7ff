"""HTC-Grid's package of this name, for stepgrid: see `api.connector`."""
