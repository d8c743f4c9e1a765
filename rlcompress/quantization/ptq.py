"""Post-training quantisation: rounds a trained actor with ranges from recorded observations."""

from __future__ import annotations

import torch

from rlcompress.quantization.prepare import Quantisable, calibrate_, prepare_
from rlcompress.spec import QuantSpec


def quantise_(
    actor: Quantisable,
    spec: QuantSpec,
    observations: torch.Tensor,
    *,
    image_scale: float | None = None,
) -> None:
    """Quantise ``actor`` without training: the baseline for quantisation-aware training.

    ``observations`` are a batch as the first module reads them; ``image_scale`` is as in
    ``prepare_``, which says what is refused.
    """
    prepare_(actor, spec, observations[:1], image_scale=image_scale)
    calibrate_(actor, observations)
