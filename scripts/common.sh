# Sourced by the other scripts: a virtual environment in .venv with the project in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# find_python: the first Python of version 3.11 or newer.
find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  echo "Python 3.11 or newer is needed and was not found on the PATH." >&2
  exit 1
}

# install EXTRA: make .venv, or bring it up to date when pyproject.toml has changed.
install() {
  local extra=$1 stamp=".venv/installed$1"
  if [ ! -x .venv/bin/python ]; then
    echo "Making a virtual environment in .venv ..." >&2
    "$(find_python)" -m venv .venv
  fi
  if [ ! -e "$stamp" ] || ! cmp -s pyproject.toml "$stamp"; then
    echo "Installing what pyproject.toml names ..." >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$extra"
    cp pyproject.toml "$stamp"
  fi
}
