#!/usr/bin/env bash
# Ray 2.60.0, `ray start`, `ray.init` and token authentication.
#
# Whether a cluster asks for a token is said by RAY_AUTH_MODE. One would guess that with the variable unset a head, a node and a driver of the
# same user on the same machine agree, whichever the default is: the two lines that `ray start --head` prints are all one needs.
#
# Seen: with the variable unset the head decides by a file. If ~/.ray/auth_token exists it asks for the token, else it asks for none; and a
# plain `ray.init()`, which has nothing to do with that cluster, writes the file. A node (`ray start --address=…`) and a driver
# (`ray.init(address=…)`) do not look at the file: they come without a token and are turned away, although it is theirs to read. Whoever has ever
# tried Ray on a machine has another cluster there than who has not. With RAY_AUTH_MODE=token both are let in; and such a driver is also let in
# by a head that asks for nothing.
set -euo pipefail
folder=$(mktemp -d)
trap '"$folder/venv/bin/ray" stop --force >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
cd "$folder"
export HOME="$folder" RAY_USAGE_STATS_ENABLED=0 PATH="$folder/venv/bin:$PATH"
unset RAY_ADDRESS RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH
port() { python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }
head() { ray start --head --port="$1" --num-cpus=1 --include-dashboard=false --temp-dir="$folder/$1" >head.log 2>&1; }
join() { python -c "import ray; ray.init(address='127.0.0.1:$1', log_to_driver=False)" >join.log 2>&1; }
stop() { ray stop --force >/dev/null 2>&1; }

one=$(port)
head "$one"
grep --quiet "authentication is disabled" head.log
join "$one"
echo "no file: the head asks for no token, and a driver is let in"
RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(printf 'a%.0s' {1..64}) join "$one"
echo "one that sends a token is let in as well"
stop

python -c "import ray; ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)" >/dev/null 2>&1
test -s .ray/auth_token
echo "ray.init() of a cluster of its own has written ~/.ray/auth_token"

two=$(port)
head "$two"
grep --quiet "authentication is enabled" head.log
if join "$two"; then echo "a driver was let in" && exit 1; fi
if ray start --address="127.0.0.1:$two" --num-cpus=1 >node.log 2>&1; then echo "a node was let in" && exit 1; fi
grep --quiet "InvalidAuthToken" node.log
echo "the same head now asks for a token; a node and a driver that can read it do not send it, and are turned away"
RAY_AUTH_MODE=token join "$two"
echo "with RAY_AUTH_MODE=token the driver is let in"
