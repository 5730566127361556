#!/usr/bin/env bash
# Transfers with curl over HTTP/2, GET and POST by turns, one after the other and all at once by turns, until the file
# STOP is there. Says how many had the status, the version and the body that they should have. SITE is the host, PORT the
# port, CA the authority; files go to the working directory.
set -euo pipefail

ok=0 failed=0 round=0 why=()
each=20
data='hold=fast'
# The app acknowledges a body with its length and its CRC-32, which stands at the end of a gzip file.
sum=$(printf %s "$data" | gzip -c | tail -c8 | od -An -tx4 -N4 | tr -d ' ')
acknowledged="${#data} $sum"

transfer() { # ID NUMBER
  if [ "$2" != 1 ]; then echo next; fi
  printf '%s\n' "url = \"https://$SITE:$PORT/item?size=$((${#1} * 3))\"" \
    "resolve = \"$SITE:$PORT:127.0.0.1\"" "cacert = \"$CA\"" http2 silent show-error 'max-time = 60' \
    "header = \"X-Request-Id: $1\"" "output = \"body-$2\"" \
    'write-out = "%{filename_effective} %{http_code} %{http_version}\n"'
  if [ $(($2 % 2)) = 1 ]; then printf '%s\n' "data = \"$data\""; fi
}

judge() { # ID NUMBER
  local expected="$1$1$1"
  if [ $(($2 % 2)) = 1 ]; then expected=$acknowledged; fi
  if grep -qx "body-$2 200 2" said && [ "$(cat "body-$2")" = "$expected" ]; then
    ok=$((ok + 1))
  else
    failed=$((failed + 1))
    local seen error
    seen=$(grep "^body-$2 " said || true)
    error=$(grep -m1 '^curl:' errors || true)
    why+=("\"$1: $(tr -d '\\"' <<<"$seen $error")\"")
  fi
}

while [ ! -e "$STOP" ]; do
  round=$((round + 1))
  rm -f body-*
  for number in $(seq $each); do transfer "curl-$round-$number" "$number"; done >transfers
  parallel=()
  if [ $((round % 2)) = 0 ]; then parallel=(--parallel); fi
  curl "${parallel[@]}" --config transfers >said 2>errors || true
  for number in $(seq $each); do judge "curl-$round-$number" "$number"; done
done
printf '{"ok": %s, "failed": %s, "why": [%s]}\n' "$ok" "$failed" "$(IFS=,; echo "${why[*]:0:5}")"
