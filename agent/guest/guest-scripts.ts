/** Programs that the agent puts into a guest, for any POSIX shell. They keep their state in files, so that they outlive the agent's connection. */

export const WEFT = '/var/lib/weft';
export const APP = `${WEFT}/app`;

/**
 * `task DIR`: runs DIR/command under /bin/sh in the package's folder, with DIR/env, at most DIR/timeout seconds, again up to DIR/retries
 * times. Keeps the last 64 to 128 KiB of its output. Appends `NAME running|done|failed|timed-out CODE ATTEMPTS CENTISECONDS` to
 * the log beside DIR.
 */
const TASK = `#!/bin/sh
dir=$1 name=\${1##*/} log=\${1%/*}/log
read -r timeout <$dir/timeout
read -r retries <$dir/retries
now() { read -r up _ </proc/uptime; echo "\${up%.*}\${up#*.}"; }
keep() {
  while head -c 65536 >$dir/output.new && [ -s $dir/output.new ]; do
    [ -s $dir/output.now ] && mv $dir/output.now $dir/output.old
    mv $dir/output.new $dir/output.now
  done
  rm -f $dir/output.new
}
started=$(now)
attempt=0
while :; do
  attempt=$((attempt + 1))
  echo "$name running 0 $attempt $(($(now) - started))" >>$log
  begun=$(now)
  rm -f $dir/pipe
  mkfifo $dir/pipe
  keep <$dir/pipe &
  keeper=$!
  setsid sh -c 'echo $$ >$1/group; . ${WEFT}/env; . $1/env; cd ${APP}; exec timeout -k 5 $2 /bin/sh $1/command' sh $dir $timeout </dev/null >$dir/pipe 2>&1
  code=$?
  status=failed
  [ $code = 0 ] && status=done
  if [ $status = failed ] && [ $(($(now) - begun)) -ge $((timeout * 100)) ]; then
    status=timed-out
    read -r group <$dir/group && kill -9 -$group 2>/dev/null
  fi
  # What the command left running may hold the pipe for ever; what it wrote itself is there in a moment, or, in a guest
  # that gets little time, in a few. Why it failed is worth more of them than how it went.
  patience=20
  [ $status = done ] || patience=100
  while [ $patience -gt 0 ] && kill -0 $keeper 2>/dev/null; do
    sleep 0.05 2>/dev/null || sleep 1
    patience=$((patience - 1))
  done
  [ $status = done ] || [ $attempt -gt $retries ] && break
  pause=$((attempt * 2)); [ $pause -gt 30 ] && pause=30
  sleep $pause
done
echo "$name $status $code $attempt $(($(now) - started))" >>$log
[ $status = done ]
`;

/** `startup DIR`: the tasks of DIR/order (lines `NAME KIND`), simple ones one after another, the others beside them. Ends the log with `startup done` or `startup failed`. */
const STARTUP = `#!/bin/sh
dir=$1
while read -r name kind; do
  if [ $kind = simple ]; then
    ${WEFT}/bin/task $dir/$name || { echo 'startup failed' >>$dir/log; exit 1; }
  else
    ${WEFT}/bin/task $dir/$name &
  fi
done <$dir/order
echo 'startup done' >>$dir/log
wait
echo 'all ended' >>$dir/log
`;

/** `follow FILE`: its lines, and those that come, as they come. */
const FOLLOW = `#!/bin/sh
while :; do
  while read -r line; do
    echo "$line"
    [ "$line" = 'all ended' ] && exit 0
    [ "$line" = 'startup failed' ] && exit 0
  done
  sleep 0.1 2>/dev/null || sleep 1
done <$1
`;

/** `is-kept NAME`: whether a `keep-up NAME` runs. A number that it had at an earlier boot may be another process's by now. */
const IS_KEPT = `#!/bin/sh
pid=0
[ -f ${WEFT}/services/$1/pid ] && read -r pid <${WEFT}/services/$1/pid
case $(tr '\\0' ' ' 2>/dev/null </proc/$pid/cmdline) in *"/keep-up $1 ") exit 0 ;; esac
exit 1
`;

/** `keep-up NAME`: runs NAME's command for ever, with growing pauses when it ends soon. Its log is bounded. */
const KEEP_UP = `#!/bin/sh
dir=${WEFT}/services/$1
${WEFT}/bin/is-kept $1 && read -r old <$dir/pid && [ $old != $$ ] && kill -9 -$old 2>/dev/null
echo $$ >$dir/pid
. ${WEFT}/env
cd ${APP} || exit 1
pause=1
while :; do
  read -r began _ </proc/uptime
  [ -f $dir/log ] && [ $(wc -c <$dir/log) -gt 1048576 ] && mv $dir/log $dir/log.old
  echo started >>$dir/starts
  /bin/sh $dir/command </dev/null >>$dir/log 2>&1
  code=$?
  read -r ended _ </proc/uptime
  [ $((\${ended%.*} - \${began%.*})) -gt 30 ] && pause=1
  echo "ended with $code; again in $pause s" >>$dir/log
  sleep $pause
  pause=$((pause * 2)); [ $pause -gt 30 ] && pause=30
done
`;

export const GUEST_PROGRAMS: Readonly<Record<string, string>> = {
  task: TASK,
  startup: STARTUP,
  follow: FOLLOW,
  'is-kept': IS_KEPT,
  'keep-up': KEEP_UP,
};
