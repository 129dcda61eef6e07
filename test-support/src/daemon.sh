# Runs a service for as long as standard input stays open, then ends it and removes its directory.
#
# The process of a test holds the other end, so the service ends with it, however that comes to its end.
#   sh -c "$(cat daemon.sh)" daemon DIRECTORY PROGRAM ARGUMENT…
directory=$1
shift
"$@" >"$directory/log" 2>&1 </dev/null &
service=$!
echo "$service"
read -r _

kill -TERM "$service"
tries=0
while kill -0 "$service" && [ $tries -lt 200 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
kill -KILL "$service"
wait "$service"
# What it started and left: each names a file of the directory.
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  if [ "$process" != $$ ] && grep -qF "$directory/" "/proc/$process/cmdline"; then
    kill -KILL "$process"
  fi
done
# The innermost first.
awk -v below="$directory/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | tac |
  while read -r mounted; do
    umount --lazy "$mounted"
  done
rm -rf --one-file-system "$directory"
