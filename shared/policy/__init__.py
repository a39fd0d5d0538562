"""Policy packs (政策包) as typed data, and the pure assessment of what a person owes.

Not a rules engine, not a place for I/O, not where money is received: it answers questions.
"""

from __future__ import annotations

from shared.policy.assessing import assess, eligibility_refusal
from shared.policy.assessment import (
    Aid,
    Assessment,
    AssessmentRequest,
    AssessmentWarning,
    Explanation,
    Hukou,
    Leg,
    Outcome,
)
from shared.policy.checks import check_pack
from shared.policy.comparing import PackChange, diff_packs
from shared.policy.loading import PackInvalidError, load_file, load_pack, load_packs
from shared.policy.pack import Pack, PackRef
from shared.policy.parameters import revise
from shared.policy.task_tables import PackFault, TaskTotals, task_table_faults, task_totals
from shared.policy.terms import Insurance, NoticeKind, Payer, PhaseKind, Reading
from shared.policy.writing import copy_to_year, dump, is_synthetic

__all__ = [
    "Aid",
    "Assessment",
    "AssessmentRequest",
    "AssessmentWarning",
    "Explanation",
    "Hukou",
    "Insurance",
    "Leg",
    "NoticeKind",
    "Outcome",
    "Pack",
    "PackChange",
    "PackFault",
    "PackInvalidError",
    "PackRef",
    "Payer",
    "PhaseKind",
    "Reading",
    "TaskTotals",
    "assess",
    "check_pack",
    "copy_to_year",
    "diff_packs",
    "dump",
    "eligibility_refusal",
    "is_synthetic",
    "load_file",
    "load_pack",
    "load_packs",
    "revise",
    "task_table_faults",
    "task_totals",
]
