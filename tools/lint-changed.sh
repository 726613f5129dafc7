#!/usr/bin/env bash
# Lints the packages of a module that have Go files which differ from a commit, new files included: the whole of a
# package, in as little time as its size allows.
#
#	LINT='golangci-lint' tools/lint-changed.sh BASE DIR [FLAG...]
#
# BASE is the commit (HEAD: what is not committed yet), DIR the module's directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

base=$1 module=$2
shift 2
read -ra lint <<<"${LINT:?the command of golangci-lint}"

# changed prints the Go files that are not as in BASE, as far as they are still there.
changed() {
	git diff --name-only --diff-filter=d "$base" -- '*.go'
	git ls-files --others --exclude-standard -- '*.go'
}

packages=()
while read -r dir; do
	case $module/$dir/ in
	./bench/* | ./console/webtest/*) ;; # modules of their own
	./*) packages+=("./$dir") ;;
	bench/bench/*) packages+=(".${dir#bench}") ;;
	console/webtest/console/webtest/*) packages+=(".${dir#console/webtest}") ;;
	esac
done < <(changed | xargs -r -n 1 dirname | sort -u)

if ((${#packages[@]} == 0)); then
	echo "$module: no Go file differs from $base"
	exit
fi
cd "$module"
set -x
"${lint[@]}" run "$@" "${packages[@]}"
