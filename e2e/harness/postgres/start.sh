#!/bin/sh
# In: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, PGDATA. Out: a server as process 1, whose data may be there already.
set -eu

mkdir -p "$PGDATA"
chmod 700 "$PGDATA" # at each start: with fsGroup the kubelet opens the volume to the group when it mounts it again
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    umask 077
    printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
    initdb --username "$POSTGRES_USER" --pwfile /tmp/password --auth-host scram-sha-256 --auth-local trust \
        --encoding UTF8 --locale C.UTF-8 >&2
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "create database \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres >&2
fi
exec postgres -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql
