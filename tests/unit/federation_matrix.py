"""All cases of the permission matrix that are about rules."""

from . import federation_cases, federation_list_cases, federation_task_cases

CASES = [*federation_cases.CASES, *federation_task_cases.CASES]
LISTS = [*federation_list_cases.LISTS, *federation_task_cases.LISTS]
