#!/bin/sh
# Runs the AVX-512 kernels on a processor that has them in emulation (Bochs), and compares what they
# answer with the portable kernels here. It takes long; `npm run test:avx512`.
#   CASES       those whose name matches, such as '^f32: wide' or '^bf16' (outputs.ts); all by default
#   BOCHS       another Bochs than Debian's, built --with-nogui and without its debugger, such as one with avx512_bf16
#   BOCHS_CPU   its processor; corei7_skylake_x by default
set -e
cd "$(dirname "$0")/../.."
work=${WORK:-build/emulation}
cpu=${BOCHS_CPU:-corei7_skylake_x}
libraries=/usr/lib
missing=
for package in bochs:/usr/bin/bochs bochs-term:$libraries/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so \
  bochsbios:/usr/share/bochs/BIOS-bochs-latest vgabios:/usr/share/vgabios/vgabios.bin busybox-static:/bin/busybox \
  isolinux:$libraries/ISOLINUX/isolinux.bin syslinux-common:$libraries/syslinux/modules/bios/ldlinux.c32 \
  xorriso:/usr/bin/xorriso cpio:/usr/bin/cpio; do
  [ -e "${package#*:}" ] || missing="$missing ${package%%:*}"
done
kernel=$(ls /boot/vmlinuz-* 2>/dev/null | tail -1)
[ -n "$kernel" ] || missing="$missing linux-image-cloud-amd64"
if [ -n "$missing" ]; then
  echo "Missing: apt-get install --no-install-recommends$missing" >&2
  exit 1
fi

rm -rf "$work/root" "$work/iso" "$work/serial.txt"
root=$work/root
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$work/iso/isolinux"
sh test/emulation/app.sh "$root/app" native/build/mn_video.node

cp /bin/busybox "$root/bin/"
for command in sh mount poweroff; do ln -s busybox "$root/bin/$command"; done
cp "$(readlink -f "$(command -v node)")" "$root/bin/node"
for program in "$root/bin/node" native/build/mn_video.node; do
  ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -Ln "$library" "$root$library"
  done
done
cat > "$root/init" <<'END'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
cd /app
node js/test/emulation/outputs.js check portable.txt && echo PASSED
poweroff -f
END
chmod +x "$root/init"

(cd "$root" && find . | cpio -o -H newc --quiet) > "$work/iso/initrd"
cp "$kernel" "$work/iso/vmlinuz"
cp $libraries/ISOLINUX/isolinux.bin $libraries/syslinux/modules/bios/ldlinux.c32 "$work/iso/isolinux/"
# Bochs 2.7 and Linux disagree about the compacted layout of saved registers; without it AVX-512 is usable.
cat > "$work/iso/isolinux/isolinux.cfg" <<'END'
DEFAULT linux
LABEL linux
 KERNEL /vmlinuz
 APPEND initrd=/initrd console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check nosmp clearcpuid=xsavec,xsaves,pku
END
xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot \
  -boot-load-size 4 -boot-info-table "$work/iso" 2> /dev/null
[ -z "$BOCHS" ] && display=term || display=nogui
cat > "$work/bochsrc" <<END
cpu: model=$cpu, count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=2048, host=2048
romimage: file=\$BXSHARE/BIOS-bochs-latest
vgaromimage: file=\$BXSHARE/VGABIOS-lgpl-latest
ata0: enabled=1
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial.txt
clock: sync=none, time0=utc
display_library: $display
log: $work/bochs.log
panic: action=fatal
END
echo c > "$work/start"
touch "$work/serial.txt"
tail -f "$work/serial.txt" &
tail=$!
# It ends when the machine is switched off.
if [ -n "$BOCHS" ]; then
  BXSHARE=${BXSHARE:-/usr/share/bochs} "$BOCHS" -q -f "$work/bochsrc" < /dev/null > "$work/screen.txt" 2>&1 || true
else # Debian's has its debugger, and needs a terminal of its own.
  TERM=xterm script -qc "bochs -q -f $work/bochsrc -rc $work/start" /dev/null < /dev/null > "$work/screen.txt" 2>&1 || true
fi
kill $tail
grep -q PASSED "$work/serial.txt"
