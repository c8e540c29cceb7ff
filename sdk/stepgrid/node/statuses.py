"""vantage6's words for how far a run is, as far as a node says them."""

ACTIVE = "active"
COMPLETED = "completed"
FAILED = "failed"  #: the node could not make an input or a result of it
START_FAILED = "start failed"
NO_IMAGE = "non-existing Docker image"  #: nothing at this node runs the image
CRASHED = "crashed"  #: the algorithm did not end with 0
NOT_ALLOWED = "not allowed"  #: by the node's policies
