#!/bin/busybox sh
# /init of the lab VM: loads the modules, puts a throw-away overlay over the host's files (9p, read-only), goes there.
# Kernel arguments: spanwire.entry=PATH (the script to run, a path of the host), spanwire.results=DIR (kept, read-write).
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $B insmod "$module" || echo "insmod $module failed" >/dev/ttyS0; done

$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose hostroot /lower || echo "no host files" >/dev/ttyS0
$B mount -t tmpfs -o size=75% tmpfs /upper
$B mkdir -p /upper/files /upper/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /newroot

N=/newroot
$B mount -t proc proc $N/proc
$B mount -t sysfs sys $N/sys
$B mount -t devtmpfs dev $N/dev
$B mkdir -p $N/dev/pts $N/dev/shm
$B mount -t devpts devpts $N/dev/pts
$B mount -t tmpfs tmpfs $N/dev/shm
$B mount -t tmpfs tmpfs $N/run

for argument in $($B cat /proc/cmdline); do
  case $argument in
    spanwire.entry=*) entry=${argument#*=} ;;
    spanwire.results=*)
      results=${argument#*=}
      $B mkdir -p "$N$results"
      $B mount -t 9p -o trans=virtio,version=9p2000.L,rw,msize=262144,cache=none results "$N$results" ;;
  esac
done
exec $B switch_root $N /bin/sh "$entry"
