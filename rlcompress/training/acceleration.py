"""Whether and how a run trains fast, and the matrix products it does it with; no mathematics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from rlcompress.fast import matmul
from rlcompress.fast.accelerate import accelerate_, is_fast
from rlcompress.fast.engine import FastOptions
from rlcompress.training.directory import ENVIRONMENT, RunDirectory
from rlcompress.training.plan import Plan
from rlcompress.training.settings import OffPolicyRecipe

WORTH_COMPILING = 5000
"""Updates from which on a run earns back what compiling costs."""

_BLIND = ("magnitude", "random")  # Criteria that do not look at gradients.


def updates_of(plan: Plan) -> int:
    """Gradient steps of a whole run, also of the part that a resumed run has behind it."""
    recipe = plan.recipe
    if not isinstance(recipe, OffPolicyRecipe):
        return 0
    steps = plan.timeline.length - recipe.learning_starts
    return max(steps, 0) * max(recipe.gradient_steps, 1) // recipe.train_freq


class Acceleration:
    """Makes a run's model fast where that was asked for, and keeps to one matrix-product path."""

    def __init__(self, plan: Plan, directory: RunDirectory, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._directory = directory
        self._say = say
        self._path = matmul.DEFAULT
        self._device = "cpu"

    def apply_(self, model: BaseAlgorithm) -> None:
        """Accelerate ``model`` and choose the path, or take the one that the run began with."""
        settings = self._plan.settings
        self._device = model.device.type
        if settings.training != "fast":
            return
        compiled = updates_of(self._plan) >= WORTH_COMPILING
        keep = settings.criterion not in _BLIND
        options = FastOptions(
            compiled=compiled,
            keep_gradients=keep,
            bfloat16=settings.matmul == "bf16",
            announce=self._say,
        )
        self._say(accelerate_(model, options))
        if is_fast(model):
            self._choose(model, compiled=compiled)

    def state_dict(self) -> dict[str, Any]:
        """The path."""
        return {"matmul": self._path}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the path of a checkpoint."""
        self._use(str(state["matmul"]))

    def _choose(self, model: BaseAlgorithm, *, compiled: bool) -> None:
        asked = self._plan.settings.matmul
        before = self._recorded()
        if asked != "auto":
            self._use(asked)
            self._say(f"matrix products: {asked}, as asked")
        elif before is not None:
            self._use(before)
            self._say(f"matrix products: {before}, as when the run began")
        elif compiled and self._device == "cpu":
            batch = int(getattr(model, "batch_size", 256))
            products = matmul.products_of(model.policy, batch)
            choice = matmul.choose(products, cache=matmul.cache_file())
            self._path = choice.path
            self._say(str(choice))
            self._record(asdict(choice))
            return
        self._record({"path": self._path})

    def _use(self, path: str) -> None:
        matmul.apply_(path, self._device)
        self._path = path

    def _recorded(self) -> str | None:
        found = self._directory.record().get("matmul", {}).get("path")
        return None if found is None else str(found)

    def _record(self, content: dict[str, Any]) -> None:
        before = self._directory.record()
        if before:
            self._directory.write_json(ENVIRONMENT, {**before, "matmul": content})
