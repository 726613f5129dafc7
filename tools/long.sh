#!/usr/bin/env bash
# What is long by nature, one after the other, each within a time limit of its own: no change is held up by these, but a
# release is. All of it runs, whatever fails; a table at the end says what came out, and the exit code is 1 if anything
# failed.
#
#	tools/long.sh                   all of it, in at most two and a half hours
#	tools/long.sh torture flood     some of it
#
# What it writes is in bin/long: a log for each step.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

make=${MAKE:-make}
logs=bin/long
mkdir -p "$logs"

# steps are a name, the most that it may take, and the command.
steps=(
	"torture   60m  $make torture"
	"soak      15m  $make soak MINUTES=10"
	"crowd      5m  bin/papertape soak --run crowd --clients 10000 --rate 2000"
	"flood     15m  bin/papertape soak --run flood --attackers 1000 --repeat 5"
	"consoles  10m  bin/papertape soak --run consoles --repeat 5"
	"floodtls  15m  bin/papertape soak --run flood --attackers 1000 --repeat 5 --tls"
	"floodkeys 15m  bin/papertape soak --run flood --attackers 1000 --repeat 5 --keys"
	"soaktls   15m  bin/papertape soak --duration 10m --tls --keys"
	"idle      10m  bench/bin/papertape-bench run --only idle --out bench/out/idle"
	"tls        5m  env PAPERTAPE_TEST_LONG=1 ${GO:-go} test ./engine/gateway -run ^TestTLSIdleMemory$ -count=1 -v"
	"doctor     5m  env PAPERTAPE_TEST_LONG=1 ${GO:-go} test ./cmd/papertape -run ^TestDoctorProbe$ -count=1 -v"
	"console   15m  env PAPERTAPE_CI=1 $make web WEBFLAGS="
	"packages  20m  $make bench-go COUNT=1"
	"fuzz      30m  $make fuzz FUZZTIME=60s"
	"release   15m  $make release-check"
)

for asked; do
	if ! printf '%s\n' "${steps[@]}" | grep -q "^$asked "; then
		printf 'there is no step %s; there are: %s\n' "$asked" "$(printf '%s\n' "${steps[@]}" | awk '{ printf "%s ", $1 }')" >&2
		exit 2
	fi
done

# wanted NAME [ASKED...] says whether a step is among those that were asked for.
wanted() {
	local name=$1 asked
	shift
	(($#)) || return 0
	for asked; do
		[[ $asked == "$name" ]] && return 0
	done
	return 1
}

$make build bench-build || exit 1
results=() bad=0
for line in "${steps[@]}"; do
	read -r name limit command <<<"$line"
	wanted "$name" "$@" || continue
	printf '=== %s, in at most %s: %s\n' "$name" "$limit" "$command"
	began=$SECONDS code=0
	# shellcheck disable=SC2086 # a word each
	timeout --kill-after=30s "$limit" $command >"$logs/$name.log" 2>&1 || code=$?
	case $code in
	0) verdict=passed ;;
	124) verdict="did not end in $limit" ;;
	*) verdict="FAILED, exit $code" ;;
	esac
	((code == 0)) || {
		bad=1
		tail -n 30 "$logs/$name.log"
	}
	results+=("$(printf '%-10s %6ds  %s' "$name" "$((SECONDS - began))" "$verdict")")
done
printf '\n'
printf '%s\n' "${results[@]}"
printf '%-10s %6ds  the logs are in %s\n' all "$SECONDS" "$logs"
exit "$bad"
