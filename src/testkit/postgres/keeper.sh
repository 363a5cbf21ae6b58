# Runs one server at a time in folder $1, as the command in $2 and on, and cleans up after it.
#
# It is told what to do on stdin: `start` answers with the server's process id, `wait` when it has ended,
# `discard` when its data is removed. Stdin ends when whoever holds its other end is done with the server, or is
# dead. Then nobody needs the server any more: it ends at once, and its folder is removed.
trap '' HUP INT TERM
folder=$1
shift
server=
discard() {
    # A killed server leaves shared memory behind. Line 7 of this file ends with its id.
    if [ -f "$folder/data/postmaster.pid" ]; then
        ipcrm -m "$(sed -n '7s/.* //p' "$folder/data/postmaster.pid")"
    fi
    rm -rf "$folder/data"
}
while read -r word; do
    case $word in
    start)
        "$@" </dev/null >>"$folder/log" 2>&1 &
        server=$!
        echo "$server"
        ;;
    wait)
        wait "$server"
        server=
        echo ended
        ;;
    discard)
        discard
        echo discarded
        ;;
    esac
done
if [ -n "$server" ]; then
    # A paused server gets the first signal only after the second.
    kill -s QUIT "$server"
    kill -s CONT "$server"
    wait "$server"
fi
discard
cd / && rm -rf "$folder"
