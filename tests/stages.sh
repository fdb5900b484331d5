#!/usr/bin/env bash
# Runs the named targets of the Makefile one after the other, all of them whatever fails, and sums up.
# usage: tests/stages.sh TARGET...
set -u
rm -f .tools/again-*
summary=
failed=0
for stage; do
	printf '\n=== %s\n' "$stage"
	began=$SECONDS
	verdict=ok
	"${MAKE:-make}" --no-print-directory "$stage" || { verdict=FAILED failed=$((failed + 1)); }
	summary+=$(printf '\n%-12s %-6s %4d s' "$stage" "$verdict" $((SECONDS - began)))
done
again=$(cat .tools/again-* 2>/dev/null)
[ -z "$again" ] || summary+=$(printf '\nthese failed and were run once more:\n%s' "$again")
printf '\n=== summary%s\n' "$summary"
[ "$failed" = 0 ]
