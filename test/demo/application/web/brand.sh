#!/bin/sh
# Startup task: puts the instance's own name on its page.
set -e
mkdir -p public
printf '<!doctype html><title>shop</title><h1>served by %s, incarnation %s</h1>\n' "$WEFT_INSTANCE" "$WEFT_INCARNATION" >public/index.html
echo "branded as $WEFT_INSTANCE"
