# kcat of the distribution, unpacked and not installed. Read by scripts/clients.sh.

c_install() {
  local place=$installed/c
  [ -x "$place/root/usr/bin/kcat" ] && return
  rm -rf "$place"
  mkdir -p "$place"
  (
    cd "$place"
    apt-get download kcat librdkafka1 libyajl2 || exit 1
    for package in *.deb; do dpkg -x "$package" root || exit 1; done
  )
}

kcat_libraries=$installed/c/root/usr/lib/$(uname -m)-linux-gnu
client c/kcat kcat c_install \
  env "LD_LIBRARY_PATH=$kcat_libraries" "KCAT=$installed/c/root/usr/bin/kcat" "$sources/c/kcat.sh"
