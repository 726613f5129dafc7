#!/usr/bin/env bash
# The life of a package, in a root of its own that tools/release-check.sh makes: OLD.deb is installed, trades are made, it
# is upgraded to NEW.deb under the running server, removed, purged, installed again on the ledger that was left, and purged
# with it. There is no systemd here: what stands for it starts the command of the installed unit, as the unit's user, when
# the maintainer scripts ask for it.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
old=$1 new=$2
config=/etc/papertape/papertape.yaml ledger=/var/lib/papertape

say() { printf 'release-upgrade: %s\n' "$*"; }

fail() {
	printf 'release-upgrade: FAILED: %s\n' "$*" >&2
	tail -n 20 /tmp/server.log >&2 || true
	exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# stand_in writes what the maintainer scripts call in the place of systemd.
stand_in() {
	mkdir -p /run/systemd/system
	rm -f /usr/sbin/policy-rc.d
	# Links are made and removed by the real one, offline.
	if [[ -x /usr/bin/systemctl ]]; then
		mv /usr/bin/systemctl /usr/bin/systemctl.real
	fi
	cat >/tmp/systemctl <<'SCRIPT'
#!/bin/sh
case $* in *daemon-reload) exit 0 ;; esac
[ ! -x /usr/bin/systemctl.real ] || SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@"
SCRIPT
	cat >/tmp/deb-systemd-invoke <<'SCRIPT'
#!/bin/bash
echo "$*" >>/tmp/invoked
[[ ! -e /tmp/held ]] || exit 0 # as an administrator's policy may say
stop() {
	[[ -s /tmp/server.pid ]] || return 0
	kill -TERM "$(</tmp/server.pid)" && tail --pid="$(</tmp/server.pid)" -f /dev/null
	rm /tmp/server.pid
}
start() {
	unit=/usr/lib/systemd/system/papertape.service
	grep -q ^StateDirectory=papertape$ "$unit" && install -d -o papertape -g papertape -m 0700 /var/lib/papertape
	setpriv --reuid papertape --regid papertape --init-groups $(sed -n 's/^ExecStart=//p' "$unit") </dev/null >>/tmp/server.log 2>&1 &
	echo $! >/tmp/server.pid
}
case $1 in
start) start ;;
stop) stop ;;
restart) stop && start ;;
esac
SCRIPT
	chmod 755 /tmp/systemctl /tmp/deb-systemd-invoke
	mv /tmp/systemctl /tmp/deb-systemd-invoke /usr/bin
}

# ready waits until the server answers.
ready() {
	local n
	for ((n = 0; n < 600; n++)); do
		! papertape healthcheck >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "the server is not ready after a minute: $(papertape healthcheck 2>&1)"
}

# trade has five clients trade; they check what they are told.
trade() { papertape swarm --clients 5 --duration 3s >/tmp/swarm.log 2>&1 || fail "the clients: $(</tmp/swarm.log)"; }

# books prints how far the accounts have come, and what they hold, as a hash: market values go with the prices.
books() {
	local n
	for n in 100001 100002 100003 100004 100005; do
		papertape holdings "$n" | grep -E '^account [0-9]+ as of sequence [0-9]+$|state hash [0-9a-f]+$'
	done
}

# verified fails unless the stopped ledger is right, and prints what verify says.
verified() { papertape verify --data "$ledger/data" || fail "verify"; }

holds() { [[ $(<"$1") == "$2" ]] || fail "$1 is not as it was"; }

stand_in
# Whoever ran tools here may have had the package: this root begins without.
! dpkg --status papertape >/dev/null 2>&1 || fail "papertape is installed on this machine; try this on another"
dpkg --install "$old" >/dev/null
ready
was=$(papertape version)
getent passwd papertape >/dev/null || fail "there is no user papertape"
[[ -L /etc/systemd/system/multi-user.target.wants/papertape.service ]] || fail "the service is not enabled"
if command -v systemd-analyze >/dev/null; then
	said=$(systemd-analyze verify papertape.service 2>&1) && [[ -z $said ]] || fail "systemd-analyze: $said"
fi
echo 'simulator.rate: 0' >>"$config" # nobody trades but the clients
edited=$(<"$config")
papertape config check "$config" >/dev/null
deb-systemd-invoke restart papertape.service
ready
trade
before=$(books)
say "installed, and traded with: $was"

dpkg --install "$new" </dev/null >/dev/null
ready
[[ $(papertape version) != "$was" ]] || fail "it is $was still"
holds "$config" "$edited"
[[ $(books) == "$before" ]] || fail "the books: $(diff <(echo "$before") <(books))"
[[ -d $ledger/data/format-1 ]] || fail "there is no backup of the ledger's former format"
trade
after=$(books)
[[ $after != "$before" ]] || fail "the clients traded nothing"
[[ $(tail -n 1 /tmp/invoked) == "restart papertape.service" ]] || fail "the upgrade did not restart the service"
if command -v systemd-analyze >/dev/null; then
	said=$(systemd-analyze verify papertape.service 2>&1) && [[ -z $said ]] || fail "systemd-analyze: $said"
fi
deb-systemd-invoke stop papertape.service
verified # the older program's events and the newer one's
say "upgraded, the books and the configuration kept: $(papertape version)"

# Back, as docs/releases.md says: not on the ledger of the newer program, but on the backup of before.
touch /tmp/held
dpkg --install "$old" >/dev/null 2>&1
rm /tmp/held
code=0
setpriv --reuid papertape --regid papertape --init-groups papertape serve --config "$config" --data "$ledger/data" \
	>/tmp/refused.log 2>&1 || code=$?
((code == 2)) || fail "the older program on the newer ledger ended with $code: $(</tmp/refused.log)"
mv "$ledger/data" "$ledger/data-new"
cp -a "$ledger/data-new/format-1" "$ledger/data"
deb-systemd-invoke start papertape.service
ready
[[ $(books) == "$before" ]] || fail "the books of the backup: $(diff <(echo "$before") <(books))"
holds "$config" "$edited"
deb-systemd-invoke stop papertape.service
rm -r "$ledger/data"
mv "$ledger/data-new" "$ledger/data"
say "the older program refuses the newer ledger, and goes on with the backup of before"

dpkg --install "$new" >/dev/null
ready
dpkg --remove papertape >/dev/null
[[ $(tail -n 1 /tmp/invoked) == "stop papertape.service" ]] || fail "the removal did not stop the service"
[[ ! -e /usr/bin/papertape ]] || fail "the binary is there still"
holds "$config" "$edited"
dpkg --purge papertape >/tmp/purge.log 2>&1
grep -q "ledger stays in $ledger" /tmp/purge.log || fail "the purge does not say where the ledger is: $(</tmp/purge.log)"
[[ ! -e $config ]] || fail "the configuration is there after a purge"
[[ ! -L /etc/systemd/system/multi-user.target.wants/papertape.service ]] || fail "the service is enabled after a purge"
[[ -d $ledger/data ]] || fail "the ledger is gone"
say "removed and purged, the ledger kept"

touch /tmp/held
dpkg --install "$new" >/dev/null
rm /tmp/held
echo 'simulator.rate: 0' >>"$config"
deb-systemd-invoke start papertape.service
ready
[[ $(books) == "$after" ]] || fail "the books of the ledger that was kept: $(diff <(echo "$after") <(books))"
PAPERTAPE_PURGE_LEDGER=yes dpkg --purge papertape >/dev/null 2>&1
[[ ! -e $ledger ]] || fail "the ledger is there, and should not be"
say "installed again on that ledger, and purged with it"
