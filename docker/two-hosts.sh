#!/usr/bin/env bash
# A server and its clients as two hosts (compose.yaml): containers with a private network between them and nothing else. The
# exit code is the clients' verdict: 0 if every one of them found everything it received right.
#
#   docker/two-hosts.sh mission [FAULT]      the ten clients of the mission, one of whom is shown a trade taken back
#   docker/two-hosts.sh swarm N [FAULT]      N containers of CLIENTS clients each (500)
#
# FAULT, once all clients are logged in:
#   none       (the default)
#   cut        the server is off the network for CUT seconds (20). Nobody is told: what is sent meanwhile is lost, and neither side
#              sees a reset or an ICMP message. Heartbeats (2s here) find out
#   restart    the server is stopped (SIGTERM), and started again after 3 s on the same volume
#   kill       the same with SIGKILL
#
# With TLS=1 the clients come over TLS, and the server makes its certificate itself.
#
# Every run has a project name, a network, a volume and an image tag of its own, and removes them at the end. It takes a bash,
# the docker command, `docker compose` or `docker-compose`, and bin/papertape (make build).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TLS=${TLS:-}
readonly CUT=${CUT:-20} CLIENTS=${CLIENTS:-500}
readonly LIMIT=${LIMIT:-180} # seconds, for everything; more for many clients
project=papertape-$$-$(date +%s)
encryption=(--allow-plaintext) # flags of the clients
clients=() # their containers
server=    # its container
follower=  # the process that prints what the clients say while they say it

say() { printf '%s two-hosts: %s\n' "$(date +%T)" "$*" >&2; }

fail() {
	say "$*"
	exit 1
}

# quietly runs a command, and shows what it said only if it fails.
quietly() {
	local said
	said=$("$@" 2>&1) || {
		printf '%s\n' "$said" >&2
		fail "this failed: $*"
	}
}

# compose runs compose for this run's project.
compose() { "${composer[@]}" --project-name "$project" --file docker/compose.yaml "$@"; }

# prepare finds out what there is, and names and builds the image.
prepare() {
	docker info >/dev/null 2>&1 || fail "no container engine answers (docker info says why)"
	if docker compose version >/dev/null 2>&1; then
		composer=(docker compose)
	elif command -v docker-compose >/dev/null; then
		composer=(docker-compose)
	else
		fail "neither docker compose nor docker-compose is installed"
	fi
	say "project $project, compose $("${composer[@]}" version --short), engine $(docker version --format '{{.Server.Version}}')"
	export PAPERTAPE_IMAGE=papertape:$project
	quietly docker/build.sh "$PAPERTAPE_IMAGE"
}

# cleanup removes all that this run made, whatever became of it.
cleanup() {
	local code=$?
	trap - EXIT INT TERM
	if ((code != 0)) && [[ -n $server ]]; then
		say "the last lines of the server's log:"
		docker logs --tail 30 "$server" >&2 || true
	fi
	[[ -z $follower ]] || kill "$follower" 2>/dev/null || true
	if [[ -n ${PAPERTAPE_IMAGE:-} ]]; then
		# First those of compose run, which compose down may leave, and whose network it then could not remove.
		docker ps --all --quiet --filter "label=com.docker.compose.project=$project" |
			xargs -r docker rm --force --volumes >/dev/null 2>&1 || true
		compose down --volumes --timeout 2 >/dev/null 2>&1 || true
		docker image rm "$PAPERTAPE_IMAGE" >/dev/null 2>&1 || true
	fi
	exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# left is how many seconds there still are.
left() { echo $((LIMIT > SECONDS ? LIMIT - SECONDS : 1)); }

# await SECONDS WHAT COMMAND... tries a command four times a second until it succeeds.
await() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		((SECONDS < end && SECONDS < LIMIT)) || fail "waited in vain: $what"
		sleep 0.25
	done
}

healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$server") == healthy ]]; }
running() { [[ $(docker inspect --format '{{.State.Running}}' "$1") == true ]]; }

start_server() {
	if [[ -n $TLS ]]; then
		quietly compose run --rm --no-deps server tls self-signed server --out /data
		export PAPERTAPE_ENCRYPTION="--tls.cert /data/tls.crt --tls.key /data/tls.key"
		encryption=(--tls --tls-ca /server/tls.crt)
	fi
	quietly compose up --detach --no-build server
	server=$(compose ps -q server)
	await 60 "the server to be healthy" healthy
	say "the server is healthy"
}

# start_clients NAME ARGS... starts a container of clients with this command.
start_clients() {
	local name=$1
	shift
	quietly compose run --detach --no-deps --name "$project-$name" clients "$@" "${encryption[@]}"
	clients+=("$project-$name")
}

# all_in CONTAINER succeeds when its clients are all logged in, and ends the run if they ended before.
all_in() {
	[[ $(docker logs "$1" 2>&1) != *"clients are logged in"* ]] || return 0
	running "$1" || verdict || fail "$1 ended before its clients were logged in"
	return 1
}

# verdict waits for the clients, and fails unless each of their containers exits with 0.
verdict() {
	local c code worst=0
	for c in "${clients[@]}"; do
		code=$(timeout "$(left)" docker wait "$c") || fail "$c did not end: the limit is $LIMIT s (LIMIT)"
		say "$c: exit code $code"
		((code == 0)) || worst=$code
	done
	if [[ -n $follower ]]; then
		wait "$follower" || true # what it prints comes before what is said below
	else
		for c in "${clients[@]}"; do
			printf '\n%s\n' "$c"
			docker logs "$c" 2>&1
		done
	fi
	((worst == 0)) || exit "$worst"
}

# counted prints one of the server's counters (papertape stats).
counted() {
	docker exec "$server" /papertape stats --output json | tr -d ' \n' | sed -n "s/.*\"name\":\"$1\",\"value\":\([0-9]*\).*/\1/p"
}

# at_least COUNTER N fails unless the server counted so many: a fault that nobody noticed would prove nothing.
at_least() {
	local n
	n=$(counted "$1")
	[[ -n $n ]] || fail "the server does not say what its counter $1 is"
	((n >= $2)) || fail "the server's counter $1 is $n; with this fault it should be $2 or more"
	say "the server counted $1: $n"
}

# stop_server ends the server in order: it must exit with 0, having logged no error, in a log that can be read.
stop_server() {
	docker stop -t 15 "$server" >/dev/null
	local code log
	code=$(docker inspect --format '{{.State.ExitCode}}' "$server")
	((code == 0)) || fail "the server's exit code is $code"
	log=$(docker logs "$server" 2>&1) || fail "the server's log cannot be read: $log"
	[[ $log == *'"message":"listening"'* ]] || fail "the server's log does not say that it listened: it is not the log of what was tried"
	! grep '"level":"error"' <<<"$log" || fail "the server logged an error"
}

# cut_link takes the server's container off the network, and puts it back.
cut_link() {
	local network
	network=$(docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}' "$server")
	say "the link is cut for $CUT s"
	docker network disconnect "$network" "$server"
	sleep "$CUT"
	docker network connect --alias server "$network" "$server"
	say "the link is there again"
}

# restart_server stops it, in order or with SIGKILL, and starts it again.
restart_server() {
	say "the server is stopped ($1)"
	if [[ $1 == kill ]]; then
		docker kill "$server" >/dev/null
	else
		stop_server
	fi
	sleep 3 # of clients who find nobody
	docker start "$server" >/dev/null
	await 60 "the server to be healthy again" healthy
	say "the server was started again, and is healthy"
}

# run_clients starts the containers, makes the fault when everybody is in, and gives the verdict.
run_clients() {
	local fault=$1 everybody=$2 c
	for c in "${clients[@]}"; do
		await 120 "the clients of $c to log in" all_in "$c"
	done
	say "all $everybody clients are logged in"
	sleep 2 # of events, some of which are theirs when the fault comes
	case $fault in
	cut) cut_link ;;
	restart | kill) restart_server "$fault" ;;
	esac
	verdict
	at_least logins "$everybody" # of the server that there is now: also after a restart everybody has to have come
	[[ $fault != cut ]] || at_least idle 1 # usually everybody; a client who finds out first may have closed
	stop_server
}

usage() {
	sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
	exit 2
}

# duration_with FAULT prints for how long the clients have to trade, so that the fault is in it, and time to come back from it.
duration_with() {
	case $1 in
	cut) echo "$((CUT + 15))s" ;;
	restart | kill) echo 15s ;;
	none) ;;
	esac
}

mission() {
	local fault=$1 duration restarts=0
	duration=$(duration_with "$fault") # none: until all is done
	[[ ! $fault =~ ^(restart|kill)$ ]] || restarts=1 # after which every client has to resume
	start_server
	start_clients clients swarm --scenario mission --server server:7300 --key /keys/clients.key --restarts "$restarts" ${duration:+--duration "$duration"}
	docker logs --follow "${clients[0]}" &
	follower=$!
	run_clients "$fault" 10
}

swarm() {
	local n=$1 fault=$2 duration k
	duration=$(duration_with "$fault")
	export PAPERTAPE_ACCOUNTS=$((n * CLIENTS > 100 ? n * CLIENTS : 100)) # the script of the mission is about ten of 100
	start_server
	for ((k = 1; k <= n; k++)); do
		start_clients "clients-$k" swarm --server server:7300 --key /keys/clients.key --partition "$k/$n" --clients "$CLIENTS" --duration "${duration:-30s}"
	done
	run_clients "$fault" $((n * CLIENTS))
}

case ${1:-} in
mission) run=(mission "${2:-none}") ;;
swarm) run=(swarm "${2:-}" "${3:-none}") && [[ ${run[1]} =~ ^[1-9][0-9]?$ ]] || usage ;;
*) usage ;;
esac
fault=${run[-1]}
[[ $fault =~ ^(none|cut|restart|kill)$ ]] || usage
[[ $fault != cut ]] || export PAPERTAPE_HEARTBEAT=2s
prepare
"${run[@]}"
say "everything held, in $SECONDS s"
