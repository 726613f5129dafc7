#!/usr/bin/env bash
# The mutation gate: each patch in tools/mutants is a deliberate bug, and some test must fail on it.
#
#	tools/mutants.sh                all of them
#	tools/mutants.sh 03 07          those whose names start with 03 or 07
#	REV=HEAD tools/mutants.sh       on a commit instead of the working tree
#	TESTED=yes tools/mutants.sh     all tests have just passed on this tree, so they are not run without a patch first
#
# A patch starts with two lines, "Bug: what is wrong" and "Test: the command that must fail". All work is done in a
# copy of the tree. Every test is first run without a patch, and must pass. Then each patch must apply and compile,
# and its command must fail because a test failed, not because no test ran. The output says which test caught which
# bug. The exit code is 1 if any of this did not hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

go=${GO:-go}
patches=$PWD/tools/mutants
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
if [[ -n ${REV:-} ]]; then
	git archive "$REV" | tar -x -C "$work/tree"
else
	git ls-files -z --cached --others --exclude-standard |
		tar -c --null -T - --ignore-failed-read 2>/dev/null | tar -x -C "$work/tree"
fi
# -trimpath lets the build cache serve all copies, and without cgo it has what the product was built from. Commands ignore
# flags that they do not have.
export CGO_ENABLED=0 GOFLAGS='-trimpath -count=1 -vet=off -timeout=180s'

# chosen NAME [PREFIX...] reports whether a patch was asked for.
chosen() {
	local name=$1 prefix
	shift
	(($#)) || return 0
	for prefix; do
		[[ $name == "$prefix"* ]] && return 0
	done
	return 1
}

# field FILE NAME prints the value of one of the first lines of a patch.
field() { sed -n "1,/^diff /s/^$2: //p" "$1"; }

# try TREE COMMAND runs a test command in a copy. The output goes to TREE.log.
try() { (cd "$1" && eval "${2/#go /\"$go\" }") >"$1.log" 2>&1 </dev/null; }

# caught LOG prints the top-level tests that failed, or else why the process ended.
caught() {
	local names
	names=$(sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' "$1" | sort -u | paste -sd ' ')
	[[ -n $names ]] || names=$(sed -n 's/^panic: test timed out.*/a test that never ends/p
		s/^\(fatal error\|panic\): .*/&/p' "$1" | sed -n 1p)
	printf '%s' "$names"
}

# complain NAME SENTENCE LOG says what is wrong, and shows the end of the log.
complain() {
	printf '%-36s %s\n' "$1" "$2"
	[[ ! -s $3 ]] || tail -n 15 "$3" | sed 's/^/    /'
}

files=()
for file in "$patches"/*.patch; do
	chosen "$(basename "$file" .patch)" "$@" && files+=("$file")
done
((${#files[@]})) || { echo "tools/mutants has no such patch" >&2; exit 1; }

# Without a bug every test must pass. Those of a package, with the same flags, run together.
declare -A names
for file in "${files[@]}"; do
	test=$(field "$file" Test)
	[[ -n $test && -n $(field "$file" Bug) ]] || { echo "$file does not begin with a Bug and a Test" >&2; exit 1; }
	[[ $test =~ ^go\ test\ ([^ ]+)\ -run\ \'\^([A-Za-z0-9_]+)\$\'(.*)$ ]] ||
		{ echo "$file: the test must be of the form go test PACKAGE -run '^Test\$' FLAGS" >&2; exit 1; }
	package="${BASH_REMATCH[1]}${BASH_REMATCH[3]}" name=${BASH_REMATCH[2]}
	[[ "|${names[$package]:-}|" == *"|$name|"* ]] || names[$package]+=${names[$package]:+|}$name
done
[[ -z ${TESTED:-} ]] || names=()
for package in "${!names[@]}"; do
	# shellcheck disable=SC2086 # the package, and flags
	set -- $package
	try "$work/tree" "go test $1 -v -run '^(${names[$package]})\$' ${*:2}" && passed=yes || passed=no
	for name in ${names[$package]//|/ }; do
		[[ $passed == yes ]] && grep -q "^--- PASS: $name " "$work/tree.log" && continue
		complain "without any bug" "this does not pass, or is no test: $package $name" "$work/tree.log"
		exit 1
	done
done

# judge TREE FILE tries one patch in a copy. It prints what came of it, and fails unless a test has caught the bug.
judge() {
	local tree=$1 file=$2 name test bad=1
	name=$(basename "$file" .patch)
	test=$(field "$file" Test)
	: >"$tree.log"
	if ! git -C "$tree" apply "$file" 2>"$tree.log"; then
		complain "$name" "the patch does not apply" "$tree.log"
		return 1
	fi
	if try "$tree" "$test"; then
		: >"$tree.log"
		complain "$name" "NOT CAUGHT by $test" "$tree.log"
	elif grep -q '\[build failed\]\|\[setup failed\]' "$tree.log"; then
		complain "$name" "it does not compile" "$tree.log"
	elif [[ -z $(caught "$tree.log") ]]; then
		complain "$name" "its test could not be run" "$tree.log"
	else
		printf '%-36s caught by %s\n' "$name" "$(caught "$tree.log")"
		bad=0
	fi
	git -C "$tree" apply -R "$file"
	return "$bad"
}

# worker N tries every second patch in a copy of its own, and writes how many were caught.
worker() {
	local n=$1 i found=0 tree=$work/tree$1
	cp -R "$work/tree" "$tree"
	for ((i = n; i < ${#files[@]}; i += 2)); do
		judge "$tree" "${files[i]}" && found=$((found + 1))
	done
	echo "$found" >"$work/found$n"
}

worker 0 &
worker 1 &
wait
found=$(($(cat "$work/found0") + $(cat "$work/found1")))
printf '%d of %d caught, in %ds\n' "$found" "${#files[@]}" "$SECONDS"
((found == ${#files[@]}))
