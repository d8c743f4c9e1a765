#!/usr/bin/env bash
# The exact commands of this sweep, from the repository's root: 80 short runs, ten minutes on two idle cores.
set -euo pipefail
grid="seed=0,1,2,3,4 sparsity=0,0.9,0.98,0.99 quant=false,true"
length="total_timesteps=5120 extra_timesteps=1024 pruning.updates=12"
ppo="algo=ppo n_envs=8 ppo.n_steps=32 ppo.batch_size=64 ppo.n_epochs=8 ppo.learning_rate=3e-3 ppo.gamma=0.98"
seen="eval_freq=512 eval_episodes=2 eval_episode_steps=200 final_episodes=4 parity_observations=500"
for env in CartPole-v1 InvertedPendulum-v4; do
  # shellcheck disable=SC2086  # Lists of words.
  .venv/bin/python -m rlcompress.train -m env=$env $grid $length $ppo $seen \
    hydra.sweep.dir=outputs/report_sweep/$env &
done
wait
.venv/bin/python -m rlcompress.report runs=outputs/report_sweep
cp outputs/report_sweep/report/*.jsonl experiments/report_sweep/results/
cp outputs/report_sweep/report/figures/return_vs_sparsity.png experiments/report_sweep/
