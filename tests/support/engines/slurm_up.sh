#!/usr/bin/env bash
# Starts a SLURM cluster for tests: several nodes on this one machine, on loopback only, without munge and systemd.
#
#   slurm_up.sh FOLDER [--nodes 3] [--cpus 4] [--array-size 11] [--accounting] [--machines] [--gpus 0]
#
# With --machines each node has process ids of its own, so that no job sees the processes of another node, as is so
# between machines; where the system does not allow that, the nodes share them.
#
# With --gpus N each node has N GPUs: plain files that SLURM takes for devices, and shows to jobs as those of NVIDIA.
#
# FOLDER must be absent or empty. It then holds slurm.conf (what SLURM_CONF must name), logs, spool, and `pids`: the
# process ids that slurm_down.sh ends. Missing packages are installed where that is possible (root, apt-get).
# Exit status 77: SLURM is not installed and cannot be.
set -euo pipefail

folder=$1; shift
nodes=3; cpus=4; array_size=11; accounting=no; machines=no; gpus=0
while [ $# -gt 0 ]; do
  case $1 in
    --nodes) nodes=$2; shift 2 ;;
    --cpus) cpus=$2; shift 2 ;;
    --array-size) array_size=$2; shift 2 ;;
    --accounting) accounting=yes; shift ;;
    --machines) machines=yes; shift ;;
    --gpus) gpus=$2; shift 2 ;;
    *) echo "unknown argument: $1" >&2; exit 2 ;;
  esac
done
if [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then
  echo "$folder is not empty" >&2
  exit 2
fi
mkdir -p "$folder"/{state,spool,log,run}
: > "$folder/pids"

# ---------------------------------------------------------------- packages
needed=(slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client)
[ $accounting = yes ] && needed+=(slurmdbd:slurmdbd mariadbd:mariadb-server)
missing=()
for pair in "${needed[@]}"; do
  PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "SLURM is missing (${missing[*]}) and cannot be installed: not root, or no apt-get" >&2
    exit 77
  fi
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } > "$folder/log/apt" 2>&1 || {
    tail -3 "$folder/log/apt" >&2
    echo "SLURM is missing and apt-get could not install ${missing[*]}" >&2
    exit 77
  }
fi
export PATH=$PATH:/usr/sbin SLURM_CONF=$folder/slurm.conf

daemon() { # NAME COMMAND...: start it in a session of its own, so that Ctrl-C in the tests does not reach it
  local name=$1; shift
  setsid "$@" > "$folder/log/$name.out" 2>&1 < /dev/null &
  echo $! > "$folder/run/$name.pid"
  echo $! >> "$folder/pids"
}
until_true() { # TENTHS COMMAND...
  local left=$1; shift
  until "$@" > /dev/null 2>&1; do
    left=$((left - 1))
    [ $left -gt 0 ] || { echo "waited in vain for: $*" >&2; tail -n 5 "$folder"/log/* >&2; return 1; }
    sleep 0.1
  done
}

# ---------------------------------------------------------------- slurm.conf
read -r -a ports <<< "$(python3 - $((nodes + 2)) <<'PY'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[one.getsockname()[1] for one in held])
PY
)"
host=$(uname -n); host=${host%%.*}
user=$(id -un)
gres=
if [ "$gpus" -gt 0 ]; then
  mkdir "$folder/dev"
  for i in $(seq 0 $((gpus - 1))); do mknod "$folder/dev/nvidia$i" c 1 3; done
  gres=" Gres=gpu:h200:$gpus"
  echo "Name=gpu Type=h200 File=$folder/dev/nvidia[0-$((gpus - 1))] Flags=nvidia_gpu_env" > "$folder/gres.conf"
fi
if [ $accounting = yes ]; then
  bookkeeping="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=${ports[1]}
JobAcctGatherType=jobacct_gather/linux"
else
  bookkeeping="AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none"
fi
{
  cat <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
$bookkeeping
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.own
SlurmdPidFile=$folder/run/slurmd-%n.own
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
# nothing that needs cgroups or a second machine
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
# a requeued job waits for its old credential to expire: 120 s unless told otherwise, and less than 5 s is refused
AuthInfo=cred_expire=5
# jobs of the partition urgent take the nodes of those in main, which are requeued
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# quick: jobs start at once, a silent node is down after about 25 s, SIGKILL follows SIGTERM after 3 s
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,sched_interval=2,bf_interval=1
SlurmdTimeout=6
SlurmctldTimeout=10
KillWait=3
MinJobAge=600
MaxArraySize=$array_size
MaxJobCount=20000
JobRequeue=1
CONF
  [ -z "$gres" ] || echo "GresTypes=gpu"
  for i in $(seq "$nodes"); do
    echo "NodeName=n$i NodeHostName=$host NodeAddr=127.0.0.1 Port=${ports[$((i + 1))]} CPUs=$cpus RealMemory=4000$gres State=UNKNOWN"
  done
  echo "PartitionName=main Nodes=n[1-$nodes] Default=YES PriorityTier=1 MaxTime=INFINITE State=UP OverSubscribe=NO"
  echo "PartitionName=urgent Nodes=n[1-$nodes] PriorityTier=10 MaxTime=INFINITE State=UP OverSubscribe=NO"
} > "$folder/slurm.conf"

# ---------------------------------------------------------------- daemons
if [ $accounting = yes ]; then
  # a database of our own behind a unix socket, no network
  chmod 755 "$folder"
  mkdir "$folder/sql"; chown mysql "$folder/sql"
  mariadb-install-db --no-defaults --user=mysql --datadir="$folder/sql" --auth-root-authentication-method=normal \
    --skip-test-db > "$folder/log/sql-install" 2>&1
  daemon mariadbd mariadbd --no-defaults --user=mysql --datadir="$folder/sql" --socket="$folder/sql/socket" \
    --skip-networking --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0
  until_true 200 mariadb --no-defaults -uroot -S "$folder/sql/socket" -e 'create database if not exists slurm_acct_db'
  cat > "$folder/slurmdbd.conf" <<CONF
AuthType=auth/none
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=${ports[1]}
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
LogFile=$folder/log/slurmdbd.log
PidFile=$folder/run/slurmdbd.own
CONF
  chmod 600 "$folder/slurmdbd.conf"
  MYSQL_UNIX_PORT=$folder/sql/socket daemon slurmdbd slurmdbd -D
  until_true 200 sacctmgr -in list cluster
  sacctmgr -i add cluster test > /dev/null
fi
daemon slurmctld slurmctld -D
apart="unshare --pid --fork --kill-child --mount-proc"
if [ $machines = yes ] && $apart true 2> /dev/null; then
  # a shell is process 1 there: it waits for orphans, which slurmd does not
  printf '#!/bin/sh\nexec %s sh -c "slurmd -D -N $1 & wait"\n' "$apart" > "$folder/start_node"
else
  printf '#!/bin/sh\nexec slurmd -D -N "$1"\n' > "$folder/start_node"
fi
chmod +x "$folder/start_node"
for i in $(seq "$nodes"); do daemon "n$i" "$folder/start_node" "n$i"; done
all_idle() { [ "$(sinfo -h -N -t idle -o %N | sort -u | wc -l)" = "$nodes" ]; }
until_true 300 all_idle
