#!/usr/bin/env bash
# supervise.sh PIDFILE LOG COMMAND [ARGUMENT…]
# Runs a program and starts it again whenever it ends, as systemd's Restart=always would. The program dies with its supervisor.
pidfile=$1 log=$2
shift 2
while true; do
  setpriv --pdeathsig KILL -- "$@" >>"$log" 2>&1 &
  echo $! >"$pidfile"
  wait $!
  sleep 0.3
done
