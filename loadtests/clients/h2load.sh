#!/usr/bin/env bash
# h2load, three seconds at a time, until the file STOP is there; what it says goes to standard output. SITE is the host,
# PORT the port; METHOD is GET or POST; files go to the working directory.
set -euo pipefail

body=()
if [ "$METHOD" = POST ]; then
  head -c 1000 /dev/zero >body
  body=(-d body)
fi
while [ ! -e "$STOP" ]; do
  h2load -n 300 -c 5 -m 4 --rps 20 --connect-to="127.0.0.1:$PORT" -H "x-request-id: h2load-$METHOD" \
    "${body[@]}" "https://$SITE:$PORT/item?size=200"
done
