#!/bin/sh
# The rows of the table: AGENTS is a checkout of DLR-RM/rl-trained-agents' zips under these names.
set -e
AGENTS=${AGENTS:-agents}
OUT=${OUT:-outputs/compress_trained}
compress() {
    name=$1
    shift
    OMP_NUM_THREADS=1 python -m rlcompress.compress "$@" hydra.run.dir="$OUT/$name"
}
for seed in 0 1 2; do
    compress "ppo-cartpole-$seed" model="$AGENTS/ppo-CartPole-v1.zip" env=CartPole-v1 \
        sparsity=0.95 seed=$seed
    compress "dqn-cartpole-$seed" model="$AGENTS/dqn-CartPole-v1.zip" env=CartPole-v1 \
        sparsity=0.95 seed=$seed
    compress "ppo-pendulum-$seed" model="$AGENTS/ppo-Pendulum-v1.zip" env=Pendulum-v1 \
        sparsity=0.9 seed=$seed
    compress "a2c-pendulum-$seed" model="$AGENTS/a2c-Pendulum-v1.zip" env=Pendulum-v1 \
        vecnormalize="$AGENTS/a2c-Pendulum-v1-vecnormalize.pkl" sparsity=0.9 seed=$seed
    compress "swimmer98-$seed" model="$AGENTS/sac-Swimmer-v3.zip" env=Swimmer-v4 \
        sparsity=0.98 seed=$seed
    compress "walker90-$seed" model="$AGENTS/sac-Walker2d-v3.zip" env=Walker2d-v4 \
        sparsity=0.9 tolerance=0.03 seed=$seed
    compress "walker95-$seed" model="$AGENTS/sac-Walker2d-v3.zip" env=Walker2d-v4 \
        sparsity=0.95 tolerance=0.08 seed=$seed
done
compress auto-cartpole model="$AGENTS/ppo-CartPole-v1.zip" env=CartPole-v1 sparsity=auto
compress auto-pendulum model="$AGENTS/ppo-Pendulum-v1.zip" env=Pendulum-v1 sparsity=auto
compress auto-dqn-cartpole model="$AGENTS/dqn-CartPole-v1.zip" env=CartPole-v1 sparsity=auto
compress auto-a2c-pendulum model="$AGENTS/a2c-Pendulum-v1.zip" env=Pendulum-v1 \
    vecnormalize="$AGENTS/a2c-Pendulum-v1-vecnormalize.pkl" sparsity=auto
compress auto-swimmer model="$AGENTS/sac-Swimmer-v3.zip" env=Swimmer-v4 sparsity=auto
compress auto-walker model="$AGENTS/sac-Walker2d-v3.zip" env=Walker2d-v4 sparsity=auto tolerance=0.03
# A DQN of our own (dqn-Pong.zip, 400 000 steps of PongNoFrameskip-v4) in place of somebody else's.
for seed in 0 1 2; do
    compress "pong-$seed" model="$AGENTS/dqn-Pong.zip" env=PongNoFrameskip-v4 sparsity=0.95 \
        agreement=0.97 check_episodes=8 final_episodes=20 seed=$seed
done
