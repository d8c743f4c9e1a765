#!/usr/bin/env bash
# The exact commands of this experiment; from the repository's root, about an hour on two idle cores.
set -euo pipefail
for sparsity in 0.0 0.9 0.98; do
  .venv/bin/python -m rlcompress.train env=Hopper-v4 sparsity=$sparsity quant=true \
    total_timesteps=150000 sac.batch_size=128 seed=0 \
    hydra.run.dir=outputs/first_look/sparsity_$sparsity &
done
wait
.venv/bin/python experiments/first_look/collect.py outputs/first_look
.venv/bin/python experiments/first_look/figure.py
