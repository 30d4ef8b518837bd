#!/bin/sh
# dpkg calls "purge" last: the trail goes with the configuration. The user stays, so that no other user gets its number, and
# with it what belonged to it.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
  rm -rf /var/log/grantor
fi
