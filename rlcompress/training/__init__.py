"""One training run: its directory, phases, model, evaluation, logs and final table."""
