/**
 * Shell of our images' early boot: reads `weft/network` of the seed mounted at `$seed` and gives the interface its addresses.
 * Leaves `$interface`, `$address` (empty: the seed has none) and `$dns`. busybox's sh and ip suffice.
 */
export const SEED_NETWORK = `interface=eth0 address='' prefix='' gateway='' dns='' address6='' prefix6='' gateway6='' mtu=''
if [ -f $seed/weft/network ]; then
  while IFS='=' read -r key value; do
    case $key in
      ADDRESS) address=$value ;;
      PREFIX) prefix=$value ;;
      GATEWAY) gateway=$value ;;
      DNS) dns=$value ;;
      ADDRESS6) address6=$value ;;
      PREFIX6) prefix6=$value ;;
      GATEWAY6) gateway6=$value ;;
      MTU) mtu=$value ;;
      MAC)
        for candidate in /sys/class/net/*; do
          read -r found <$candidate/address
          [ "$found" = "$value" ] && interface=\${candidate##*/}
        done ;;
    esac
  done <$seed/weft/network
fi
# The host learns the address at once, instead of at its next ARP try.
echo 1 >/proc/sys/net/ipv4/conf/all/arp_notify
ip link set lo up
if [ -n "$address" ] && [ -n "$prefix" ]; then
  [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
  ip addr add "$address/$prefix" dev "$interface"
  ip link set "$interface" up
  [ -n "$gateway" ] && ip route add default via "$gateway"
  if [ -n "$address6" ] && [ -f /proc/sys/net/ipv6/conf/$interface/accept_ra ]; then
    echo 0 >/proc/sys/net/ipv6/conf/$interface/accept_ra
    # Nobody else has it: it is used at once.
    echo 0 >/proc/sys/net/ipv6/conf/$interface/accept_dad
    ip addr add "$address6/$prefix6" dev "$interface"
    [ -n "$gateway6" ] && ip -6 route add default via "$gateway6"
  fi
fi
`;
