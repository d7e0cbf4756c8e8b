#!/bin/sh
# Makes target/debian/callwright_VERSION_ARCH.deb from a finished release build and native/. No root, no debhelper: the
# package is a tree of files and four short scripts, and dpkg-deb puts them together.
# Usage: systemd/package.sh [BINARY]      (default: target/release/callwright)
set -eu

cd "$(dirname -- "$0")/.."
binary=${1:-target/release/callwright}
fail() { printf 'package: %s\n' "$*" >&2; exit 1; }
[ -x "$binary" ] || fail "$binary is missing: run 'make build' first"
[ -f native/lib/libonnxruntime.so ] || fail "native/ is missing or not complete: run 'make setup' first"
[ -f native/moonshine-tiny-en/decoder.onnx ] ||
    printf 'package: without Moonshine, so it will hear with a limited vocabulary; make setup fetches it\n' >&2
[ -f native/moonshine-base-en/decoder.onnx ] ||
    printf 'package: without the larger model of Moonshine, so callers are misheard more often; make setup fetches it\n' >&2

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
output=target/debian
tree=$output/tree
rm -rf "$tree"
umask 022

install -D -m 755 "$binary" "$tree/usr/bin/callwright"
strip --strip-debug "$tree/usr/bin/callwright" 2>/dev/null || true
mkdir -p "$tree/usr/lib/callwright"
cp -R native/. "$tree/usr/lib/callwright/"
rm -f "$tree/usr/lib/callwright/.inputs"
install -D -m 644 systemd/callwright.service "$tree/usr/lib/systemd/system/callwright.service"
install -D -m 644 systemd/callwright-apps.service "$tree/usr/lib/systemd/system/callwright-apps.service"
install -D -m 644 systemd/sysusers.d/callwright.conf "$tree/usr/lib/sysusers.d/callwright.conf"
install -D -m 644 systemd/callwright.toml "$tree/etc/callwright/callwright.toml"
for document in README.md SECURITY.md CHANGELOG.md; do
    install -D -m 644 "$document" "$tree/usr/share/doc/callwright/$document"
done
install -D -m 644 LICENSE "$tree/usr/share/doc/callwright/copyright"
find "$tree" -type d -exec chmod 755 {} +
find "$tree/usr/lib/callwright" -type f -exec chmod 644 {} +

mkdir -p "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: callwright
Version: $version
Architecture: $architecture
Maintainer: Callwright <callwright@example.invalid>
Section: comm
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: libc6 (>= 2.36), libgcc-s1, libstdc++6, libflite1, systemd (>= 252), git, ca-certificates
Description: answers the phone and builds what callers ask for
 A daemon that takes SIP calls, listens and speaks with engines on the box, turns what
 callers ask for into running web applications and reports on them by phone.
 No cloud service is needed.
CONTROL
printf '/etc/callwright/callwright.toml\n' >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers callwright.conf
    elif ! getent passwd callwright >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/callwright --shell /usr/sbin/nologin callwright
    fi
    chgrp callwright /etc/callwright/callwright.toml
    chmod 640 /etc/callwright/callwright.toml
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl enable --quiet callwright-apps.service callwright.service
        systemctl restart callwright-apps.service callwright.service || echo "callwright did not start: see journalctl -u callwright" >&2
    fi
fi
SCRIPT
cat >"$tree/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --quiet --now callwright.service callwright-apps.service || true
fi
SCRIPT
cat >"$tree/DEBIAN/postrm" <<'SCRIPT'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
    # Calls, apps and their data: only on an explicit purge.
    rm -rf /var/lib/callwright
fi
SCRIPT
chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm" "$tree/DEBIAN/postrm"

package=$output/callwright_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
rm -rf "$tree"
printf 'package: %s (%s)\n' "$package" "$(du -h "$package" | cut -f1)"
printf 'package: install with: apt-get install ./%s\n' "$package"
