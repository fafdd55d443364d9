#!/bin/sh
# Starts Valkey under users.acl with passwords from the environment: VALKEY_WEB_PASSWORD and
# VALKEY_WORKER_PASSWORD, and VALKEY_RECEIVER_PASSWORD if something reads the stream. A user without a
# password cannot log in. Its arguments are the server's. Only digests are written, into a file of its own.
set -eu
: "${VALKEY_WEB_PASSWORD:?has to be set}" "${VALKEY_WORKER_PASSWORD:?has to be set}"
users=${TMPDIR:-/tmp}/users.acl
umask 077
while read -r line; do
  case $line in
    "user web "*) password=$VALKEY_WEB_PASSWORD ;;
    "user worker "*) password=$VALKEY_WORKER_PASSWORD ;;
    "user receiver "*) password=${VALKEY_RECEIVER_PASSWORD:-} ;;
    *) password= ;;
  esac
  if [ -n "$password" ]; then
    line="$line #$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)"
  fi
  printf '%s\n' "$line"
done < "$(dirname "$0")/users.acl" > "$users"
exec valkey-server --aclfile "$users" "$@"
