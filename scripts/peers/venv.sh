#!/usr/bin/env bash
# Makes a Python environment with the AWS tools that judge the simulator, or leaves it be when it
# is there already with the same versions.
#
#   scripts/peers/venv.sh FOLDER

set -euo pipefail
folder=$1
requirements="$(dirname "$0")/requirements.txt"

cmp -s "$requirements" "$folder/made-from.txt" && exit 0
rm -rf "$folder"
printf 'Getting the AWS tools that the simulator is checked against (once, about a minute)\n'
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
cp "$requirements" "$folder/made-from.txt"
