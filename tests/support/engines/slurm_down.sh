#!/usr/bin/env bash
# Ends a cluster that slurm_up.sh started: its jobs first, then the processes in FOLDER/pids.
#
#   slurm_down.sh FOLDER
set -u
folder=$1
[ -e "$folder/pids" ] || exit 0
export PATH=$PATH:/usr/sbin SLURM_CONF=$folder/slurm.conf

if timeout 5 squeue -h > /dev/null 2>&1; then
  timeout 10 scancel --me
  for _ in $(seq 50); do
    [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break
    sleep 0.2
  done
fi
ours() { # a recorded process may have ended long ago and its id be another's, or nobody has waited for it
  grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null && return 1
  case $(cat "/proc/$1/comm" 2>/dev/null) in slurmctld | slurmd | slurmdbd | mariadbd | unshare) true ;; *) false ;; esac
}
# SIGKILL, since nothing of theirs is kept: asked to end they take 12 s, and with accounting more
for pid in $(cat "$folder/pids"); do ours "$pid" && kill -9 "$pid"; done
for pid in $(cat "$folder/pids"); do
  for _ in $(seq 50); do
    ours "$pid" || break
    sleep 0.1
  done
done
# what jobs are left where the controller could not end them: the steps' keepers and the processes below them
for process in /proc/[0-9]*; do
  tr '\0' '\n' 2>/dev/null < "$process/environ" | grep -qxF "SLURM_CONF=$folder/slurm.conf" || continue
  [ "$(cat "$process/comm")" = slurmstepd ] || tr '\0' '\n' < "$process/environ" | grep -q '^SLURMD_NODENAME=' || continue
  kill -9 "${process#/proc/}"
done 2>/dev/null
rm -f "$folder/pids"
