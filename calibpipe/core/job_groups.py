"""Groups of jobs in Snakemake 9 whose members are replaced when a checkpoint is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["new_groups_alone"]


def new_groups_alone() -> None:
    """Snakemake gives a group out of its cache only if it still has the jobs it is asked for.

    Snakemake keeps groups by the jobs they began with and merges others into the same object
    (``GroupJobFactory``, ``GroupJob.merge``). After a checkpoint such a group brings jobs back that
    were replaced: steps run twice, then ``KeyError`` in ``DAG.update_ready`` (snakemake/snakemake
    #1217, #4202). A test in ``tests/workflow/test_job_groups.py`` tells when this is not needed any
    more.
    """
    from snakemake.jobs import GroupJob, GroupJobFactory

    def new(self: GroupJobFactory, id: str, jobs: Iterable[Any], resources: Any) -> GroupJob:
        jobs = frozenset(jobs)
        group = self.cache.get((id, jobs))
        if group is None or group.jobs != jobs:
            group = self.cache[id, jobs] = GroupJob(id, jobs, resources)
        return group

    GroupJobFactory.new = new
