"""The ONNX form of a subject, as runtimes that read ONNX get it; runs none."""

from __future__ import annotations

from rlcompress.export.onnx_qdq import ACTION, INPUT, Precision, to_onnx
from rlcompress.probe.subject import Subject

__all__ = ["ACTION", "INPUT", "onnx_bytes"]


def onnx_bytes(subject: Subject, precision: Precision) -> bytes:
    """The serialised model, without the Clips that only exactness needs: in the peers' favour."""
    model = to_onnx(subject.whole, precision=precision, exact_limits=False)
    data: bytes = model.SerializeToString()
    return data
