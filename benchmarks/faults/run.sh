# Shows the faults of a first day and of attacks on a checkout: bash benchmarks/faults/run.sh [CHECKOUT [SCRIPT...]]
# Each script makes its inputs in an empty folder, runs the program of CHECKOUT on them and prints what it says.
set -u
here=$(cd "$(dirname "$0")" && pwd)
export REPO=${1:-$(cd "$here/../.." && pwd)}
shift || true
export PYTHON=${PYTHON:-$(command -v python3)} PYTHONPATH=$REPO
[ $# -gt 0 ] || set -- "$here"/[0-9]*.sh
launcher=$(mktemp)
trap 'rm -f "$launcher"' EXIT
printf '#!%s\nfrom medaudit.cli.app import main\nmain()\n' "$PYTHON" > "$launcher"
chmod +x "$launcher"
for script in "$@"; do
    place=$(mktemp -d)
    echo "=== $(basename "$script") on $(git -C "$REPO" rev-parse --short HEAD)"
    (cd "$place" && MEDAUDIT=$launcher bash "$script")
    rm -rf "$place"
done
