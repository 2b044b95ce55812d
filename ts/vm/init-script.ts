// The first process of a guest: a shell script on busybox. It makes the host's files the guest's, and runs one program.

/** Names of the ports between the guest and us, as QEMU gives them to the guest. */
export const PORTS = { control: 'x11bridge.control', stdin: 'x11bridge.stdin', stdout: 'x11bridge.stdout', stderr: 'x11bridge.stderr' } as const;

/** Where the parts of the initial file system lie that differ from guest to guest. */
export const SETTINGS_PATH = 'x11bridge/settings';
export const CONFIG_PATH = 'x11bridge/config.json';

/** The tags of the host's files, of the guest's /dev/shm, and of the Nth shared folder. */
export const ROOT_TAG = 'x11bridge-root';
/** The host half's own. */
export const DEV_SHM_TAG = 'x11bridge-shm';
export const shareTag = (index: number): string => `x11bridge-share${index}`;

/**
 * What the script does, in order: drivers, the host's root under a layer in memory, the folders that have to be the guest's own,
 * shared folders, the program, its exit code. The control port carries lines. To us: `alive`, `started`, `exit CODE`, `failed WHY`,
 * `info SENTENCE`.
 * From us: `signal NAME`, `size ROWS COLUMNS`; its end ends the guest.
 *
 * Output passes through pipes, so that programs can open /dev/stdout again, which a port can't. When the program has ended, a mark
 * that only we know goes the same way: all that stands before it is the program's, whoever still holds the pipe open.
 */
export const INIT_SCRIPT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /root /run
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
. /${SETTINGS_PATH}
if [ -e /modules/order ]; then
  while read -r module; do insmod "$module"; done < /modules/order
fi

port() {
  for folder in /sys/class/virtio-ports/*; do
    if [ "$(cat "$folder/name")" = "$1" ]; then echo "/dev/\${folder##*/}"; return; fi
  done
}
control=$(port ${PORTS.control})
exec 9<>"$control"
say() { echo "$*" >&9; }
fail() { say "failed $*"; sleep 5; poweroff -f; }
# The memory of files there is the host's too, if the kernel can map it (DAX); it says so when it finds the device.
mount_dev_shm() {
  if [ "$dev_shm" = 1 ] && mount -t virtiofs -o dax=inode ${DEV_SHM_TAG} /root/dev/shm; then
    if dmesg | grep -q 'virtiofs.* Cache len'; then say "info /dev/shm is shared with the host"; return; fi
    umount /root/dev/shm
  fi
  [ "$dev_shm" = 1 ] && say "info the guest has a /dev/shm of its own: its kernel can't share the host's memory (FUSE_DAX)"
  mount -t tmpfs -o mode=1777 shm /root/dev/shm
}
say alive
[ "$probe" = 1 ] && poweroff -f

options=trans=virtio,version=9p2000.L,msize=512000,access=any
mount -t 9p -o "$options,cache=loose,ro" ${ROOT_TAG} /lower || fail "the host's files can't be mounted: the kernel needs 9p over virtio"
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root || mount --bind /lower /root

# A root of one's own may have been made without them.
mkdir -p /root/dev /root/proc /root/sys /root/run
[ -d /root/tmp ] || mkdir -m 1777 /root/tmp
mount --bind /dev /root/dev
for link in fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -sf "/proc/self/\${link#*:}" "/root/dev/\${link%:*}"; done
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /root/dev/pts
mount_dev_shm
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/tmp/.X11-unix
mount -t tmpfs -o mode=1777 x11 /root/tmp/.X11-unix
rm -f /root/tmp/.X[0-9]*-lock
case $runtime_dir in
  /run/*) mkdir -p "/root$runtime_dir" && chmod 700 "/root$runtime_dir" && chown "$uid:$gid" "/root$runtime_dir" ;;
esac
mount_share() {
  mkdir -p "/root$3"
  mount -t 9p -o "$options,cache=none,$2" "$1" "/root$3" || fail "the shared folder $3 can't be mounted"
}
mount_shares
for node in /root/dev/dri/*; do [ -c "$node" ] && chmod 666 "$node"; done
hostname x11bridge-vm
ip link set lo up
if [ "$network" = 1 ]; then
  ip address add 10.0.2.15/24 dev eth0 && ip link set eth0 up && ip route add default via 10.0.2.2
  rm -f /root/etc/resolv.conf
  echo "nameserver 10.0.2.3" > /root/etc/resolv.conf
fi

mkfifo -m 666 /run/in /run/out /run/err
# Held open, so that a pipe is never at its end before the mark.
exec 7<>/run/out 8<>/run/err
cat /run/err > "$(port ${PORTS.stderr})" &
in_host_files() { exec "$@" chroot /root "$node_program" "$entry" 3< /${CONFIG_PATH} 7>&- 8>&- 9>&-; }
if [ "$terminal" = 1 ]; then
  out=/dev/hvc0
  stty rows "$rows" cols "$columns" < $out
  err=/run/err
  [ "$terminal_stderr" = 1 ] && err=$out
  (in_host_files setsid -c) < $out > $out 2> $err &
else
  out=/run/out
  cat "$(port ${PORTS.stdin})" > /run/in &
  cat /run/out > "$(port ${PORTS.stdout})" &
  (in_host_files) < /run/in > /run/out 2> /run/err &
fi
program=$!
say started
(
  while read -r word first second; do
    case $word in
      signal) kill -s "$first" $program ;;
      size) stty rows "$first" cols "$second" < /dev/hvc0 ;;
    esac
  done <&9
  # Nothing is written back first: what /dev/shm leads to may have gone with the rest, and would be waited for.
  poweroff -n -f
) &
wait $program
code=$?
printf %s "$end_mark" > $out
printf %s "$end_mark" > /run/err
say "exit $code"
while :; do sleep 3600; done
`;
