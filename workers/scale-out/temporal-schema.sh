#!/bin/sh
# Brings Temporal's two databases to the schema of this image. Safe to run again: what is there is left as it is, and after a newer
# image it is migrated, before its server starts. One minor version at a time.
set -eu
for part in temporal visibility; do
  case $part in
    temporal) SQL_DATABASE=temporal ;;
    visibility) SQL_DATABASE=temporal_visibility ;;
  esac
  export SQL_DATABASE
  temporal-sql-tool setup-schema --version 0.0
  temporal-sql-tool update-schema --schema-name "postgresql/v12/$part"
done
