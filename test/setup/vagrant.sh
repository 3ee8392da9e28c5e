#!/usr/bin/env bash
# Provisions one machine of the Vagrantfile: `vagrant.sh controller ADDRESS` or `vagrant.sh host NAME`.
set -euo pipefail
part=$1 value=$2
cd /opt/weft

if ! command -v node >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo 'Node.js 20 or newer must be in the box or installed before this step' >&2
  exit 1
fi
test/setup/setup.sh

# unit NAME COMMAND…: a systemd service that is restarted for ever; its virtual machines outlive it.
unit() {
  local name=$1
  shift
  cat >"/etc/systemd/system/$name.service" <<UNIT
[Unit]
Description=Weft $name
After=network-online.target libvirtd.service
Wants=network-online.target

[Service]
ExecStart=$*
WorkingDirectory=/opt/weft
Restart=always
RestartSec=1
KillMode=process

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable --now "$name.service"
}

node=$(command -v node)
case "$part" in
  controller)
    unit weft-controller "$node" --import tsx controller/main.ts --listen "$value:7700" --agents "$value:7701" \
      --write-client-config /root/.config/weft/config.yaml
    ;;
  host)
    systemctl enable --now libvirtd.service
    install -d -m 755 /etc/weft
    install -m 600 /dev/null /etc/weft/join-token
    "$node" -p 'JSON.parse(require("node:fs").readFileSync("/tmp/weft-join.json", "utf8")).token' >/etc/weft/join-token
    rm -f /tmp/weft-join.json
    printf 'name: %s\nfaultDomain: vagrant/room-1/rack-1/%s\n' "$value" "$value" >/etc/weft/agent.yaml
    unit weft-agent "$node" --max-semi-space-size=2 --import tsx agent/main.ts --config /etc/weft/agent.yaml --join-file /etc/weft/join-token
    ;;
  *)
    echo "vagrant.sh: unknown part $part" >&2
    exit 2
    ;;
esac
