#!/usr/bin/env bash
# The mutation gate: each patch in tools/mutants is a deliberate bug, and some test must fail on it.
#
#	tools/mutants.sh                all of them
#	tools/mutants.sh 03 07          those whose names start with 03 or 07
#	REV=HEAD tools/mutants.sh       on a commit instead of the working tree
#
# A patch starts with two lines, "Bug: what is wrong" and "Test: the command that must fail". All work is done in a
# copy of the tree. Every command is first run without a patch, and must pass. Then each patch must apply and compile,
# and its command must fail because a test failed, not because no test ran. The output says which test caught which
# bug. The exit code is 1 if any of this did not hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

go=${GO:-go}
patches=$PWD/tools/mutants
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree"
if [[ -n ${REV:-} ]]; then
	git archive "$REV" | tar -x -C "$tree"
else
	git ls-files -z --cached --others --exclude-standard |
		tar -c --null -T - --ignore-failed-read 2>/dev/null | tar -x -C "$tree"
fi
# -trimpath lets the build cache serve all copies. Commands ignore flags that they do not have.
export GOFLAGS='-trimpath -count=1 -vet=off -timeout=180s'

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

# try COMMAND runs a test command in the copy. The output goes to the log.
try() { (cd "$tree" && eval "${1/#go /\"$go\" }") >"$work/log" 2>&1 </dev/null; }

# caught prints the top-level tests that failed, or else why the process ended.
caught() {
	local names
	names=$(sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' "$work/log" | sort -u | paste -sd ' ')
	[[ -n $names ]] || names=$(sed -n 's/^panic: test timed out.*/a test that never ends/p
		s/^\(fatal error\|panic\): .*/&/p' "$work/log" | sed -n 1p)
	printf '%s' "$names"
}

bad=0
complain() {
	bad=$((bad + 1))
	printf '%-36s %s\n' "$1" "$2"
	[[ ! -s $work/log ]] || tail -n 15 "$work/log" | sed 's/^/    /'
}

files=()
declare -A passed
for file in "$patches"/*.patch; do
	chosen "$(basename "$file" .patch)" "$@" && files+=("$file")
done
((${#files[@]})) || { echo "tools/mutants has no such patch" >&2; exit 1; }

for file in "${files[@]}"; do
	test=$(field "$file" Test)
	[[ -n $test && -n $(field "$file" Bug) ]] || { echo "$file does not begin with a Bug and a Test" >&2; exit 1; }
	[[ -z ${passed[$test]:-} ]] || continue
	if try "$test" && ! grep -q 'no tests to run\|no test files' "$work/log"; then
		passed[$test]=yes
	else
		passed[$test]=no
		complain "without any bug" "this does not pass, or tests nothing: $test"
	fi
done

found=0
for file in "${files[@]}"; do
	name=$(basename "$file" .patch)
	test=$(field "$file" Test)
	: >"$work/log"
	if ! git -C "$tree" apply "$file" 2>"$work/log"; then
		complain "$name" "the patch does not apply"
		continue
	fi
	if [[ ${passed[$test]} == no ]]; then
		: # reported above
	elif try "$test"; then
		: >"$work/log"
		complain "$name" "NOT CAUGHT by $test"
	elif grep -q '\[build failed\]\|\[setup failed\]' "$work/log"; then
		complain "$name" "it does not compile"
	elif [[ -z $(caught) ]]; then
		complain "$name" "its test could not be run"
	else
		found=$((found + 1))
		printf '%-36s caught by %s\n' "$name" "$(caught)"
	fi
	git -C "$tree" apply -R "$file"
done

printf '%d of %d caught, in %ds\n' "$found" "${#files[@]}" "$SECONDS"
((found == ${#files[@]} && bad == 0))
