#!/bin/sh
# Runs every fuzz target of the module for FUZZTIME (1m), four at a time. What a target
# prints is shown when it is done, and only when it has failed.
#
#	fuzz.sh                   all targets
#	fuzz.sh package target    one
set -eu

: "${GO:=go}" "${FUZZTIME:=1m}"
export GO FUZZTIME

if [ $# -eq 2 ]; then
	# One worker each, for four at a time. Those that talk to servers never cover quite the
	# same twice, and would spend their minute on making inputs smaller.
	if out=$($GO test -vet=off -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 10x -parallel 1 "$1" 2>&1); then
		echo "ok    $1 $2"
	elif ! echo "$out" | grep -q 'Failing input' && echo "$out" | grep -q '^    context deadline exceeded'; then
		echo "ok    $1 $2" # go test takes the end of its time for a failure when it comes in between two inputs
	else
		printf 'FAIL  %s %s\n%s\n' "$1" "$2" "$out"
		exit 1
	fi
	exit
fi

targets=$($GO list -f '{{.ImportPath}} {{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}' ./... |
	while read -r package dir files; do
		for file in $files; do
			sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$package \1|p" "$dir/$file"
		done
	done)
# Each package is built once before its targets start, which would all build it.
for package in $(echo "$targets" | cut -d ' ' -f 1 | sort -u); do
	$GO test -vet=off -run '^$' -fuzz '^none$' "$package" >/dev/null
done
echo "$targets" | xargs -P 4 -n 2 sh "$0"
