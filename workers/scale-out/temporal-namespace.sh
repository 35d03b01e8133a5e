#!/bin/sh
# The namespace in which the runs of durabot live; its processes add their search attributes themselves. While the server is still
# coming up this fails and is started again.
set -eu
temporal operator namespace describe --namespace default > /dev/null 2>&1 ||
  temporal operator namespace create --namespace default --retention 30d
