"""The error that ends a run for a reason worth one line; nothing else."""


class TrainingStopped(RuntimeError):
    """The run cannot go on; the message says what was seen and what is kept."""
