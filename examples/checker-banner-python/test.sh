#!/bin/sh
# Checks that the plugin keeps the protocol. VIPWARD is the program, where it is not on the path.
set -eu
cd "$(dirname "$0")"
/usr/bin/python3 -c 'import grpc, google.protobuf' || { echo 'install the packages: apt-get install python3-grpcio python3-protobuf' >&2; exit 1; }
exec "${VIPWARD:-vipward}" plugin test ./vipward-plugin-greeting --config example.hcl
