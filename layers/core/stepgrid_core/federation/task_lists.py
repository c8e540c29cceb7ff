"""Names of the lists in which tasks stand, for what they belong to. Pure."""


def tasks_of_collaboration(collaboration_id: int) -> str:
    return f"tasks:collaboration:{collaboration_id}"


def tasks_of_organization(organization_id: int) -> str:
    """Tasks that it asked for."""
    return f"tasks:organization:{organization_id}"


def tasks_of_study(study_id: int) -> str:
    return f"tasks:study:{study_id}"
