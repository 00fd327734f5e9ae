#!/bin/sh
# Makes sure that what is named is there for the tests: installs it with the
# system's package manager where that is possible without asking for a password,
# and says how otherwise.
#
#   sh scripts/install.sh redis curl node docker browser
set -eu

have() {
	for command in "$@"; do command -v "$command" >/dev/null 2>&1 || return 1; done
}

have_one() {
	for command in "$@"; do have "$command" && return; done
	return 1
}

present() {
	case $1 in
	redis) have redis-server redis-cli ;;
	curl) have curl ;;
	node) have node npm ;;
	docker) have dockerd iptables ;; # the engine; macOS has none
	browser) have_one chromium-headless-shell chromium chromium-browser google-chrome ;;
	*)
		echo "$0: $1 is unknown: there are redis, curl, node, docker and browser" >&2
		exit 2
		;;
	esac
}

# packages NAME MANAGER prints what the package manager calls it.
packages() {
	case $1/$2 in
	redis/apt) echo redis-server redis-tools ;;
	node/apt | node/apk) echo nodejs npm ;;
	node/dnf) echo nodejs ;;
	docker/apt) echo docker.io iptables ;;
	docker/dnf) echo moby-engine iptables ;;
	docker/apk) echo docker iptables ;;
	browser/apt) echo chromium-headless-shell ;;
	browser/dnf) echo chromium-headless ;;
	browser/*) echo chromium ;;
	*) echo "$1" ;;
	esac
}

# brewable: there is no dockerd for macOS, and Homebrew's browsers are apps that put no
# command on PATH.
brewable() {
	case $1 in
	docker | browser) return 1 ;;
	esac
}

install() {
	echo "installing: $*"
	"$@" >&2 || true
}

as_root=""
if [ "$(id -u)" != 0 ]; then
	if have sudo && sudo -n true 2>/dev/null; then
		as_root="sudo"
	else
		as_root="none"
	fi
fi

missing=""
for name in "$@"; do
	present "$name" && continue
	if [ "$as_root" != none ] && have apt-get; then
		install $as_root env DEBIAN_FRONTEND=noninteractive sh -c \
			"apt-get update -qq && apt-get install -y -qq --no-install-recommends $(packages "$name" apt)"
	elif [ "$as_root" != none ] && have dnf; then
		install $as_root dnf install -y -q $(packages "$name" dnf)
	elif [ "$as_root" != none ] && have apk; then
		install $as_root apk add --quiet $(packages "$name" apk)
	elif brewable "$name" && have brew; then
		install brew install --quiet "$(packages "$name" brew)"
	fi
	present "$name" || missing="$missing $name"
done

[ -z "$missing" ] && exit 0
brew="" by_hand=""
for name in $missing; do
	if brewable "$name"; then brew="$brew $name"; else by_hand="$by_hand $name"; fi
done
cat >&2 <<EOF
missing, and could not be installed:$missing. Install it with your package manager:
  Debian, Ubuntu   sudo apt-get install$(for name in $missing; do printf ' %s' "$(packages "$name" apt)"; done)
  Fedora           sudo dnf install$(for name in $missing; do printf ' %s' "$(packages "$name" dnf)"; done)
  Alpine           sudo apk add$(for name in $missing; do printf ' %s' "$(packages "$name" apk)"; done)
  macOS            ${brew:+brew install$brew}${by_hand:+ (not with brew:$by_hand)}
Until then the tests that need it are skipped.
EOF
# In CI a test that is skipped would go unnoticed.
[ "${CI:-}" != true ]
