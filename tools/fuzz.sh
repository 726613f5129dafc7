#!/bin/sh
# Runs every fuzz target of the module, two at a time, each for a time (tools/fuzz.sh 60s) or a number of inputs
# (tools/fuzz.sh 10000x). It asks the test binaries for their targets, so a new target is never forgotten.
#
#	tools/fuzz.sh TIME                    all of them; WITHOUT=DIRECTORY leaves out those of a package
#	tools/fuzz.sh TIME PACKAGE TARGET     one
set -eu
cd "$(dirname "$0")/.."
time=${1:?usage: tools/fuzz.sh TIME [PACKAGE TARGET], as in 60s}
go=${GO:-go}
# As the product is built. What has C in it would be compiled anew for fuzzing.
export CGO_ENABLED=0

if [ $# -eq 1 ]; then
	# Only packages that have targets are linked and asked. For each package `go test -list` prints the names and then
	# "ok <package> <time>".
	packages=$(grep -rl --include='*_test.go' '^func Fuzz' . | grep -v '^\./bench/' | xargs -n 1 dirname | sort -u |
		grep -vx "./${WITHOUT:-none}")
	# shellcheck disable=SC2086 # a word each
	found=$("$go" test -list '^Fuzz' $packages)
	targets=$(printf '%s\n' "$found" | awk '
		/^Fuzz/ { name[++n] = $1 }
		$1 == "ok" { for (i = 1; i <= n; i++) print $2, name[i]; n = 0 }')
	if [ -z "$targets" ]; then
		echo "there is no fuzz target" >&2
		exit 1
	fi
	# A target seldom keeps more than one core busy. xargs fails if any of them does.
	printf '%s\n' "$targets" | xargs -n 2 -P 2 tools/fuzz.sh "$time"
	exit
fi

package=$2 target=$3
# The minimum number of inputs that a target must try for its PASS to mean something.
case $time in
*x) least=${time%x} ;;
*) least=1 ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz runs the target. If the time runs out while a worker is busy, a target sometimes fails with only "context
# deadline exceeded". That is not a finding, so the target is run once more. With a count (10000x) there is no deadline.
fuzz() {
	"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$package" </dev/null >"$log" 2>&1 &&
		status=0 || status=$?
	if [ "$status" -ne 0 ]; then
		printf 'fuzz %s %s for %s\n%s\n' "$package" "$target" "$time" "$(cat "$log")"
		return "$status"
	fi
	printf 'fuzz %s %s for %s\n%s\n' "$package" "$target" "$time" "$(tail -n 3 "$log")"
	tried=$(sed -n 's/^fuzz: .*execs: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
	if [ "${tried:-0}" -lt "$least" ]; then
		echo "$target passed, but was given ${tried:-0} inputs, and not $least: nothing was tried, or too little"
		return 1
	fi
}

fuzz || {
	grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log" || exit 1
	echo "that was the clock and not a finding: once more"
	fuzz
}
