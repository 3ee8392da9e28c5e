#!/bin/sh
# The worker's process: writes a line now and then, for as long as it lives.
while true; do
  echo "$WEFT_INSTANCE reporting at $(date -u +%H:%M:%S)"
  sleep "${INTERVAL_SECONDS:-5}"
done
