#!/usr/bin/env bash
# What the image promises, checked on the engine: smaller than 40 MB; a user that is not root; works with a read-only root and
# no capability, also on a fresh volume; healthy while the server answers, unhealthy while it does not, healthy again after;
# ends in order when it is told to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SIZE_MAX=40000000
name=papertape-check-$$-$(date +%s)

say() { printf 'check-image: %s\n' "$*"; }

fail() {
	printf 'check-image: FAILED: %s\n' "$*" >&2
	docker logs --tail 20 "$name" >&2 2>/dev/null || true
	exit 1
}

cleanup() {
	docker rm --force --volumes "$name" >/dev/null 2>&1 || true
	docker volume rm "$name" >/dev/null 2>&1 || true
	docker image rm "$image" >/dev/null 2>&1 || true
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

of_container() { docker inspect --format "$1" "$name"; }

# becomes STATE waits at most a minute for this state of health.
becomes() {
	local end=$((SECONDS + 60)) state
	until state=$(of_container '{{.State.Health.Status}}') && [[ $state == "$1" ]]; do
		((SECONDS < end)) || fail "it is $state after a minute, and should be $1"
		sleep 0.2
	done
}

image=papertape:${name#papertape-}
docker/build.sh "$image" >/dev/null

size=$(docker image inspect --format '{{.Size}}' "$image")
((size < SIZE_MAX)) || fail "the image has $size bytes; $SIZE_MAX is the limit"
say "size: $size bytes, below $SIZE_MAX"

user=$(docker image inspect --format '{{.Config.User}}' "$image")
[[ $user =~ ^[1-9][0-9]*(:[1-9][0-9]*)?$ ]] || fail "the image's user is '$user'; it should be a number, and not root's"

docker volume create "$name" >/dev/null
docker run --rm --read-only --network none --volume "$name:/data" "$image" \
	keys add --keys-file /data/keys --role trade --accounts '*' --name check --out /data/check.key >/dev/null
# Asked more often than in the Dockerfile, which says what is asked.
docker run --detach --name "$name" --read-only --cap-drop ALL --security-opt no-new-privileges --network none \
	--volume "$name:/data" --health-interval 1s --health-timeout 5s --health-retries 2 "$image" \
	serve --listen 0.0.0.0:7300 --allow-plaintext --auth.keys-file /data/keys --data /data/papertape >/dev/null
becomes healthy
pid=$(of_container '{{.State.Pid}}')
uid=$(docker top "$name" -o pid,uid | awk -v pid="$pid" '$1 == pid { print $2 }')
[[ $uid == "${user%%:*}" ]] || fail "the server runs as user '$uid', not as the image's $user"
say "user: $uid"
[[ $(of_container '{{.HostConfig.ReadonlyRootfs}}') == true ]] || fail "the root is not read-only"
say "healthy with a read-only root, no capability and a fresh volume"

# By the socket of the server's own machine, without a token; what it changes is what it then says.
docker exec "$name" papertape simulate --rate 7 >/dev/null || fail "docker exec cannot change the simulator's rate"
said=$(docker exec "$name" papertape simulate)
[[ $said == "7 fills a second"* ]] || fail "the simulator's rate was set to 7, and it says: $said"
docker exec "$name" papertape stats >/dev/null || fail "docker exec cannot read the counters"
say "docker exec papertape: works without a token"

docker kill --signal STOP "$name" >/dev/null
becomes unhealthy
say "unhealthy while the server does not answer"
docker kill --signal CONT "$name" >/dev/null
becomes healthy
say "healthy again"

docker stop -t 15 "$name" >/dev/null
code=$(of_container '{{.State.ExitCode}}')
((code == 0)) || fail "told to stop, it ended with $code"
say "told to stop, it ended with 0"

code=0
said=$(docker run --rm --read-only --network none "$image" 2>&1) || code=$?
((code == 2)) && [[ $said == *allow_plaintext* ]] || fail "without a word about plaintext it should refuse to serve; exit $code: $said"
say "refuses to be reached unencrypted without being told to"
