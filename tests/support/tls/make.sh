#!/bin/sh
# Makes the certificates of the TLS tests anew, next to this file. Needs openssl 3.
set -eu
cd "$(dirname "$0")"
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }

# name, common name, X.509 extensions, first day, last day, how it is signed
issue() {
  new_key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  printf '%b' "$3" > "$1.ext"
  mkdir -p work && : > work/index && echo 01 > work/serial
  # shellcheck disable=SC2086
  openssl ca -batch -notext -md sha256 -in "$1.csr" -out "$1.pem" -startdate "$4" -enddate "$5" \
    -extfile "$1.ext" -config ca.cnf -outdir work -rand_serial $6 2>/dev/null
  rm -rf "$1.csr" "$1.ext" work
}
here="DNS:localhost,IP:127.0.0.1,IP:::1"
issue ca "cliproxy test authority" "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n" \
  20200101000000Z 21200101000000Z "-selfsign -keyfile ca.key"
ours="-keyfile ca.key -cert ca.pem"
leaf="extendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
issue good good "subjectAltName=$here\n$leaf" 20200101000000Z 21200101000000Z "$ours"
issue other other "subjectAltName=DNS:elsewhere.example\n$leaf" 20200101000000Z 21200101000000Z "$ours"
issue expired expired "subjectAltName=$here\n$leaf" 20190101000000Z 20200101000000Z "$ours"
issue selfsigned localhost "subjectAltName=$here\n" 20200101000000Z 21200101000000Z "-selfsign -keyfile selfsigned.key"
for name in good other expired selfsigned; do
  cat "$name.key" >> "$name.pem"
  rm "$name.key"
done
rm ca.key
