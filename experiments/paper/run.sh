#!/usr/bin/env bash
# The exact commands of these results, from the repository's root; each can be given again after a
# stop, and several of them side by side. SAC takes two hours of one core per environment and seed.
#   experiments/paper/run.sh <folder for the runs>
set -euo pipefail
runs=${1:-sweeps/paper}
export OMP_NUM_THREADS=1
train() { .venv/bin/python -m rlcompress.train -m "$@"; }
collect() { .venv/bin/python experiments/paper/collect.py "$runs/$1" experiments/paper/results/$1.jsonl; }

for seed in 0 1 2; do
  for env in Hopper-v4 HalfCheetah-v4 Swimmer-v4; do
    # Products rounded to bfloat16 in training, where they are 1.5 times as fast.
    case $env in
      HalfCheetah-v4 | Swimmer-v4) matmul=bf16 ;;
      *) matmul=auto ;;
    esac
    train +experiment=paper_mujoco variant=none,int8 sparsity=0,0.9,0.98,0.99 env=$env seed=$seed \
      sac.total_timesteps=200000 matmul=$matmul hydra.sweep.dir="$runs/mujoco"
  done
done

# The other allocations, from the same beginnings; Erdos-Renyi's runs and the dense one are there.
train +experiment=paper_mujoco variant=none sparsity=0.98,0.99 allocation=global,uniform \
  env=HalfCheetah-v4 seed=0 sac.total_timesteps=200000 matmul=bf16 \
  hydra.sweep.dir="$runs/allocations" trunks="$runs/mujoco/trunks" \
  'hydra.sweep.subdir=${env}/${allocation}/${sparsity}/${seed}'
for sparsity in 0.0 0.98 0.99; do
  copy=$runs/allocations/HalfCheetah-v4/erdos_renyi/$sparsity
  mkdir -p "$copy"
  cp -rT "$runs/mujoco/HalfCheetah-v4/none/$sparsity/0" "$copy/0"
done

# Twice the published updates per step, a smaller buffer and earlier copies of the target: at 10 M
# steps the published values learn, at 240 000 they do not.
train +experiment=paper_atari_cnn variant=none,int8 sparsity=0,0.9 env=PongNoFrameskip-v4 seed=0 \
  dqn_atari.total_timesteps=240000 dqn_atari.train_freq=2 dqn_atari.buffer_size=100000 \
  dqn_atari.learning_starts=10000 dqn_atari.target_update_interval=1000 \
  dqn_atari.exploration_fraction=0.2 eval_freq=24000 eval_episodes=5 final_episodes=10 \
  matmul=bf16 hydra.sweep.dir="$runs/atari_cnn"

# Final episodes of policies that have not learnt are as long as the training.
for final in "none 20" "int8 3"; do
  read -r variant episodes <<< "$final"
  train +experiment=paper_atari_resnet budget=quick variant=$variant sparsity=0,0.9 \
    env=PongNoFrameskip-v4 seed=0 eval_freq=4000 final_episodes=$episodes matmul=bf16 \
    hydra.sweep.dir="$runs/atari_resnet"
done

for env in Hopper-v4 HalfCheetah-v4 Swimmer-v4; do
  collect mujoco/$env
done
collect allocations/HalfCheetah-v4
collect atari_cnn/PongNoFrameskip-v4
collect atari_resnet/PongNoFrameskip-v4
.venv/bin/python experiments/paper/figures.py
