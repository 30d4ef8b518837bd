#!/bin/sh
# Before the files, so that the group that may read them exists. deb and rpm call this.
set -e
getent group grantor >/dev/null || groupadd --system grantor
getent passwd grantor >/dev/null ||
  useradd --system --gid grantor --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
    --comment "Grantor, an OAuth 2.0 token server" grantor
