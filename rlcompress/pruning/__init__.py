"""Magnitude pruning while training: criteria, allocations, masks; knows nothing of SB3."""

from rlcompress.pruning.allocation import ALLOCATIONS, Allocation, allocation, kept_total
from rlcompress.pruning.criteria import CRITERIA, Criterion, criterion
from rlcompress.pruning.masks import MaskSet
from rlcompress.pruning.pruner import LayerReport, Pruner, check_feasible, format_report

__all__ = [
    "ALLOCATIONS",
    "CRITERIA",
    "Allocation",
    "Criterion",
    "LayerReport",
    "MaskSet",
    "Pruner",
    "allocation",
    "check_feasible",
    "criterion",
    "format_report",
    "kept_total",
]
