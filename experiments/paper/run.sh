#!/usr/bin/env bash
# The exact commands of these results, from the repository's root; each can be given again after a
# stop, and several of them side by side. SAC takes 2.6 hours of one core per environment and seed.
#   experiments/paper/run.sh <folder for the runs>
set -euo pipefail
runs=${1:-sweeps/paper}
export OMP_NUM_THREADS=1
train() { .venv/bin/python -m rlcompress.train -m "$@"; }

for seed in 0 1 2; do
  for env in Hopper-v4 HalfCheetah-v4 Swimmer-v4; do
    train +experiment=paper_mujoco variant=none,int8 sparsity=0,0.9,0.98,0.99 env=$env seed=$seed \
      sac.total_timesteps=200000 hydra.sweep.dir="$runs/mujoco"
  done
done

for env in Hopper-v4 HalfCheetah-v4 Swimmer-v4; do
  .venv/bin/python experiments/paper/collect.py "$runs/mujoco/$env" \
    experiments/paper/results/mujoco/$env.jsonl
done
.venv/bin/python experiments/paper/figures.py
