#!/bin/sh
# Prints the Python that the virtual environment is made with: the first of the path that can carry the
# project, unless another is quicker by a tenth. A distribution's build is often profile-guided where one
# compiled by hand is not, and then does the same work in two thirds of the time. Prints nothing if there is none.
# usage: interpreter.sh [CANDIDATE...]
here=$(dirname "$0")
[ "$#" -gt 0 ] || set -- python3 python3.13 python3.12 python3.11 /usr/local/bin/python3 /usr/bin/python3
chosen=
least=
for candidate in "$@"; do
    found=$(command -v "$candidate") || continue
    spent=$("$found" "$here/interpreter.py" 2>/dev/null) || continue
    if [ -z "$chosen" ] || [ $((spent * 10)) -lt $((least * 9)) ]; then
        chosen=$found
        least=$spent
    fi
done
printf '%s\n' "$chosen"
