#!/bin/sh
# Where a platform mounts a volume at /data it belongs to root: it is given to the program's user, as which the program then
# runs.
set -e
if [ "$(id -u)" = 0 ]; then
    chown library:library /data
    exec setpriv --reuid=library --regid=library --init-groups "$@"
fi
exec "$@"
