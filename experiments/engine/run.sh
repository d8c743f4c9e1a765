#!/bin/sh
# The README's table of inference times. From the repository's root, on an otherwise idle machine:
#     experiments/engine/run.sh AGENTS OUT
# AGENTS holds hopper.zip, halfcheetah.zip, humanoid.zip (SAC) and nature_cnn.zip (DQN); OUT gets one
# JSON file per call of the benchmark, each of which takes one to two minutes.
set -eu
agents=$1 out=$2
bench() {
  name=$1
  shift
  .venv/bin/python -m rlcompress.bench.inference 'network=[]' break_even=false rounds=5 "$@" "out=$out/$name.json"
}
for actor in hopper halfcheetah; do
  bench "$actor" "agents=$agents/$actor.zip" sparsity=0.8,0.9,0.98,0.99 'games=[]'
done
bench humanoid "agents=$agents/humanoid.zip" sparsity=0.9,0.98 'games=[]'
for allocation in erdos_renyi uniform global; do
  bench "cnn_$allocation" "agents=$agents/nature_cnn.zip" sparsity=0,0.5,0.8,0.9,0.95,0.98 \
    allocation=$allocation 'games=[]'
done
for allocation in erdos_renyi uniform; do
  bench "resnet_$allocation" 'network=[impala_resnet]' sparsity=0.8,0.95,0.98 \
    allocation=$allocation 'games=[]' rounds=4
done
bench games "agents=$agents/nature_cnn.zip" 'sparsity=[]' \
  games=Pong,Breakout,Boxing,CrazyClimber,Freeway,BattleZone,Tutankham,Seaquest
for actor in hopper humanoid nature_cnn; do
  bench "${actor}_avx2" "agents=$agents/$actor.zip" sparsity=0,0.5,0.8,0.9,0.95,0.98,0.99 \
    allocation=erdos_renyi isa=avx2 'games=[]'
done
for actor in hopper humanoid nature_cnn; do
  bench "${actor}_compact" "agents=$agents/$actor.zip" sparsity=0.8,0.9,0.95,0.98,0.99 \
    allocation=erdos_renyi peers=compact 'games=[]'
done
