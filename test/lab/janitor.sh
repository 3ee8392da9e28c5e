#!/usr/bin/env bash
# janitor.sh NODE MAIN NAME: takes the lab down when whoever holds the other end of stdin is gone, even by kill -9.
# A line `keep` on stdin sends the janitor away and leaves the lab up.
node=$1 main=$2 name=$3
trap '' INT TERM HUP
if read -r line && [ "$line" = keep ]; then exit 0; fi
exec "$node" --import tsx "$main" down --name "$name" >/dev/null 2>&1
