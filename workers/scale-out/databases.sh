#!/bin/sh
# Two owners who cannot see each other's data: the store's and Temporal's. PostgreSQL runs this once, when its volume is new; a
# password that is changed later has to be changed in the database, too (alter role … password …).
set -eu
psql --username postgres --dbname postgres --set ON_ERROR_STOP=1 \
  --set durabot="$DURABOT_DB_PASSWORD" --set temporal="$TEMPORAL_DB_PASSWORD" <<'SQL'
create role durabot login password :'durabot';
create database durabot owner durabot;
create role temporal login password :'temporal';
create database temporal owner temporal;
create database temporal_visibility owner temporal;
revoke all on database durabot, temporal, temporal_visibility from public;
SQL
