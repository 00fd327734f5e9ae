#!/bin/sh
# Makes sure that redis-server and redis-cli are there for the tests: installs
# them with the system's package manager where that is possible without asking
# for a password, and says how otherwise. The tests run without them, too, less
# those that need a real server.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }
present() { have redis-server && have redis-cli; }

present && exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
	if have sudo && sudo -n true 2>/dev/null; then
		as_root="sudo"
	else
		as_root="none"
	fi
fi

install() {
	echo "installing redis-server: $*"
	"$@" >&2 || true
}

if [ "$as_root" != none ] && have apt-get; then
	install $as_root env DEBIAN_FRONTEND=noninteractive sh -c \
		'apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server redis-tools'
elif [ "$as_root" != none ] && have dnf; then
	install $as_root dnf install -y -q redis
elif [ "$as_root" != none ] && have apk; then
	install $as_root apk add --quiet redis
elif have brew; then
	install brew install --quiet redis
fi

present && exit 0
cat >&2 <<'EOF'
redis-server is missing and could not be installed. Install Redis 7 with your
package manager:
  Debian, Ubuntu   sudo apt-get install redis-server
  Fedora           sudo dnf install redis
  Alpine           sudo apk add redis
  macOS            brew install redis
Until then the tests that need a real server are skipped.
EOF
# In CI a test that is skipped would go unnoticed.
[ "${CI:-}" != true ]
