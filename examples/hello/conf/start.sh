#!/bin/sh
# Stands for a server: the image has no shell of its own to run it.
echo "serving ${SITE_ROOT:-/srv/site} $*"
