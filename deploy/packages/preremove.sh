#!/bin/sh
# dpkg calls "remove" or "upgrade", rpm calls with 0 (removed) or 1 (upgraded).
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl --quiet disable --now grantor.service || true
    fi
    ;;
esac
