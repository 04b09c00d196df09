#!/bin/bash
# One lab host and everybody who talks to it, in namespaces of their own.
#
#   keeper.sh ID MOUNTPOINT LOWERDIRS PUMP...
#
# Runs as process 1 of a new PID namespace, in new mount and network namespaces. When it ends, for
# whatever reason, the kernel ends every process in it, and with the last process go the mounts and
# the network namespaces. It lives as long as its standard input stays open.
#
#   world: the network namespace of everybody else; all addresses that are not the host's are here
#   host:  the namespace of the host; its other ends are eth0 (LAN and default gateway), eth1 (a
#          second uplink with a public address), tun0 (a VPN) and br0 (containers)
#   box:   a container on br0
set -eu
id=$1 mountpoint=$2 lower=$3
shift 3

host() { # host PUMP...: make the namespaces and become the host
  mount -t tmpfs -o size=4g,mode=755 "oa-lab-$id" "$mountpoint"
  mkdir "$mountpoint/upper" "$mountpoint/work" "$mountpoint/root"
  mount -t overlay "oa-lab-$id" \
    -o "lowerdir=$lower,upperdir=$mountpoint/upper,workdir=$mountpoint/work" "$mountpoint/root"

  mkdir -p /run/netns
  mount -t tmpfs "oa-lab-$id" /run/netns
  touch /run/netns/oa-lab-world
  mount --bind /proc/self/ns/net /run/netns/oa-lab-world
  ip netns add oa-lab-host
  ip netns add oa-lab-box

  # No loopback in world and box: 127.0.0.0/8 is then routed to the host like any other address.
  for client in world box; do
    nsenter "--net=/run/netns/oa-lab-$client" sysctl -qw net.ipv4.conf.all.rp_filter=0 \
      net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.route_localnet=1 \
      net.ipv6.conf.default.accept_dad=0
  done
  nsenter --net=/run/netns/oa-lab-host sysctl -qw net.ipv6.conf.default.accept_dad=0

  if [ $# -gt 0 ]; then
    "$@" &   # makes tun0 in both namespaces and carries packets between them
    until [ -e "/run/netns/tun-ready" ]; do sleep 0.02; done
  fi

  ip -batch - <<END
link add lan address 02:00:00:00:77:01 type veth \
  peer name eth0 address 02:00:00:00:77:10 netns oa-lab-host
link add uplink address 02:00:00:01:00:01 type veth \
  peer name eth1 address 02:00:00:01:00:10 netns oa-lab-host
address add 192.168.77.1/24 dev lan
address add 192.168.77.20/24 dev lan
address add 203.0.113.50/32 dev lan
address add 198.51.100.1/24 dev uplink
address add 198.51.100.20/24 dev uplink
address add 203.0.113.60/32 dev uplink
address add 10.99.0.2/32 peer 10.99.0.1 dev tun0
address add 2001:db8:77::1/64 dev lan nodad
address add 2001:db8:77::20/64 dev lan nodad
address add 2001:db8:f00d::50/128 dev lan nodad
address add fe80::1/64 dev lan nodad
address add 2001:db8:100::1/64 dev uplink nodad
address add 2001:db8:100::20/64 dev uplink nodad
address add 2001:db8:f00d::60/128 dev uplink nodad
address add fd99::2/64 dev tun0 nodad
link set lan up
link set uplink up
link set tun0 up
END

  ip -n oa-lab-host -batch - <<END
link add br0 address 02:00:00:00:30:01 type bridge
link add box0 type veth peer name eth0 address 02:00:00:00:30:02 netns oa-lab-box
link set box0 master br0
address add 192.168.77.10/24 dev eth0
address add 198.51.100.10/24 dev eth1
address add 10.99.0.1/24 dev tun0
address add 172.30.0.1/24 dev br0
address add 2001:db8:77::10/64 dev eth0 nodad
address add fd77::10/64 dev eth0 nodad
address add 2001:db8:100::10/64 dev eth1 nodad
address add fd99::1/64 dev tun0 nodad
address add fd30::1/64 dev br0 nodad
link set lo up
link set eth0 up
link set eth1 up
link set tun0 up
link set br0 up
link set box0 up
route add default via 192.168.77.1 dev eth0
route add default via 2001:db8:77::1 dev eth0
END

  ip -n oa-lab-box -batch - <<END
address add 172.30.0.2/24 dev eth0
address add fd30::2/64 dev eth0 nodad
link set eth0 up
route add default via 172.30.0.1
route add default via fd30::1
END

  # Each source address leaves by its own link, whatever it wants to reach.
  rules() { # rules FAMILY TABLE DEVICE GATEWAY SOURCE...
    local family=$1 table=$2 device=$3 gateway=$4 source
    shift 4
    {
      echo "route add default ${gateway:+via $gateway} dev $device table $table"
      for source in "$@"; do echo "rule add from $source lookup $table"; done
    } | ip "$family" -batch -
  }
  rules -4 101 lan 192.168.77.10 192.168.77.20 203.0.113.50
  rules -4 102 uplink 198.51.100.10 198.51.100.20 203.0.113.60
  rules -4 103 tun0 "" 10.99.0.2
  rules -6 101 lan 2001:db8:77::10 2001:db8:77::20 2001:db8:f00d::50
  rules -6 102 uplink 2001:db8:100::10 2001:db8:100::20 2001:db8:f00d::60
  rules -6 103 tun0 "" fd99::2

  # Everybody knows everybody: the first answer would otherwise wait for neighbour discovery, and a
  # ruleset that drops ICMPv6 would shut out neighbours of the same link by that alone.
  know() { # know NAMESPACE DEVICE LINK-ADDRESS ADDRESS...
    local namespace=$1 device=$2 link=$3 address
    shift 3
    for address in "$@"; do echo "neighbour replace $address lladdr $link dev $device nud permanent"
    done | nsenter "--net=/run/netns/oa-lab-$namespace" ip -batch -
  }
  know host eth0 02:00:00:00:77:01 192.168.77.1 192.168.77.20 2001:db8:77::1 2001:db8:77::20
  know host eth1 02:00:00:01:00:01 198.51.100.1 198.51.100.20 2001:db8:100::1 2001:db8:100::20
  know host br0 02:00:00:00:30:02 172.30.0.2 fd30::2
  know world lan 02:00:00:00:77:10 192.168.77.10 2001:db8:77::10
  know world uplink 02:00:00:01:00:10 198.51.100.10 2001:db8:100::10
  know box eth0 02:00:00:00:30:01 172.30.0.1 fd30::1

  # A cgroup of its own in the hierarchies that systemd uses, or two hosts would share one.
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/oa-lab-$id"
    echo "$BASHPID" >"$hierarchy/oa-lab-$id/cgroup.procs"
  done

  # The kernel tells of a carrier up to a second late.
  {
    until [ "$(ip -n oa-lab-host link show type veth | grep -c 'state UP')" = 3 ]; do sleep 0.02; done
    echo "booting"
  } &
  SYSTEMD_NSPAWN_API_VFS_WRITABLE=network exec systemd-nspawn --quiet --boot --console=pipe \
    --directory="$mountpoint/root" --machine="oa-lab-$id" --register=no --keep-unit \
    --network-namespace-path=/run/netns/oa-lab-host \
    --capability=all --system-call-filter='@keyring bpf' >"$mountpoint/console" 2>&1
}

# Until whoever started us closes the pipe or is gone, or the host ends: then everything ends.
exec 3<&0 </dev/null
cat <&3 >/dev/null &
host "$@" 3<&- &
wait -n
