#!/usr/bin/env bash
# An experiment on several nodes of a Slurm cluster: sbatch examples/slurm.sh exp.toml runs/mine
#
# Build once on a login node that has the MPI headers and libclang (the modules to load differ from site to site):
#   cargo build --release -p runner --features mpi
# The run folder must be on a file system that all nodes share. Any number of ranks gives the same bytes; one rank per node or
# socket, with one thread per core, needs the least memory.
#SBATCH --job-name=sgdwalk
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
# two minutes before the end: the run finishes its update and writes a checkpoint
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

experiment=$1
run=$2
sgdwalk=target/release/sgdwalk

# the folder exists after a requeue, or when the job is submitted again
if [ -e "$run" ]; then
  arguments=(resume "$run")
else
  arguments=("$experiment" --out "$run")
fi

status=0
srun --kill-on-bad-exit=1 "$sgdwalk" "${arguments[@]}" --quiet --threads "$SLURM_CPUS_PER_TASK" || status=$?

# 3: stopped by the signal after a checkpoint
if [ "$status" -eq 3 ]; then
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit "$status"
