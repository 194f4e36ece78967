# Print the path of the first Python >= 3.12. Each candidate is run, because a pyenv shim may be on PATH and still refuse to start.
ok() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 12))' >/dev/null 2>&1; }

for p in python3.13 python3.12 python3 "$(pyenv root 2>/dev/null)"/versions/*/bin/python; do
    if ok "$p"; then command -v "$p"; exit 0; fi
done
exit 1
