#!/usr/bin/env bash
# A real SLURM of one node on loopback, without systemd and cgroups, for tests. Wants root and Debian's slurmctld, slurmd,
# slurm-client and munge.
#   one_node_slurm.sh up FOLDER     start it; state, keys and logs lie in FOLDER
#   one_node_slurm.sh down FOLDER   stop it
# It has the partitions that profiles/slurm names, and two cores, memory and a GPU whether the machine has them or not, so that
# jobs which ask for them can be scheduled anywhere. slurmd looks every second at the memory of jobs, and kills those with more
# than they asked for.
set -euo pipefail
what=${1:?up or down} folder=${2:?folder for state and logs}

stop() { # the process of a pid file, and wait for its end
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do
    [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null || echo Z)" = Z ] && return 0
    sleep 0.1
  done
  kill -9 "$pid"
}

if [ "$what" = down ]; then
  for daemon in slurmd slurmctld munged; do stop "$folder/$daemon.pid"; done
  for conf in slurm.conf gres.conf; do
    [ "$(readlink "/etc/slurm/$conf")" = "$folder/$conf" ] && rm "/etc/slurm/$conf"
  done
  exit 0
fi

mkdir -p "$folder"/{controller,spool} /etc/slurm
chmod 755 "$folder"
host=$(hostname -s)
cat >"$folder/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/controller
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
KillWait=2
MinJobAge=3600
ReturnToService=2
MailProg=/bin/true
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=20000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
CONF
echo "NodeName=$host Name=gpu File=/dev/null" >"$folder/gres.conf"
# Snakemake's plug-in drops SLURM_CONF before it submits: clients must find the file where they look by default.
for conf in slurm.conf gres.conf; do
  if [ -e "/etc/slurm/$conf" ] && [ ! -L "/etc/slurm/$conf" ]; then
    echo "/etc/slurm/$conf is there: this machine has a SLURM of its own, which stays untouched" >&2
    exit 1
  fi
  ln -sfn "$folder/$conf" "/etc/slurm/$conf"
done
(umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
slurmctld
slurmd
for _ in $(seq 60); do
  if timeout 5 sinfo --noheader --format=%t | grep -qx idle; then exit 0; fi
  sleep 0.5
done
echo "SLURM did not come up; see the logs in $folder" >&2
exit 1
