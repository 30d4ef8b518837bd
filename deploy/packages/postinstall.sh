#!/bin/sh
# dpkg calls "configure" with the version from before, rpm calls with 1 (installed) or 2 (upgraded).
set -e
upgraded=
case "$1" in
  configure) upgraded=$2 ;;
  abort-*) exit 0 ;;
  [2-9]*) upgraded=$1 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ -z "$upgraded" ]; then
  cat <<'END'
grantor: write your issuer and your Redis into /etc/grantor/config.toml. Then:
  sudo -u grantor grantor config check --config /etc/grantor/config.toml
  sudo systemctl enable --now grantor
END
  exit 0
fi
if [ -d /run/systemd/system ] && systemctl --quiet is-active grantor.service; then
  # A node that runs is worth more than one that the new version refuses to start.
  if setpriv --reuid grantor --regid grantor --clear-groups /usr/bin/grantor config check --config /etc/grantor/config.toml; then
    systemctl restart grantor.service
  else
    echo "grantor: the configuration has mistakes for this version, so the earlier version goes on serving: mend it, then systemctl restart grantor" >&2
  fi
fi
