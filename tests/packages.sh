#!/bin/sh
# Installs those of the named Debian packages that are missing. Debian starts and enables what it installs; here nothing is
# started, and what is new is not enabled either, so that a machine that only runs the tests goes on as before.
set -eu

missing=
for p; do
	dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q ' installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing packages, to be installed as root: apt-get install$missing" >&2
	exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing$missing"
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null
for p in $missing; do
	case $p in
	nginx*) systemctl disable nginx.service ;;
	keepalived | ipvsadm | openipmi | frr) systemctl disable "$p.service" ;;
	mariadb-server) systemctl disable mariadb.service ;;
	postgresql | redis-server) systemctl disable "$p.service" ;;
	unbound | opensmtpd) systemctl disable "$p.service" ;;
	etcd-server) systemctl disable etcd.service ;;
	rsyslog | prometheus-alertmanager) systemctl disable "$p.service" ;;
	openssh-server) systemctl disable ssh.service ssh.socket ;;
	esac >/dev/null 2>&1 || true # no systemd, or no such service: nothing to disable
done
