package dockertest

import (
	"io"
	"os/exec"
)

// guardScript runs the command $2..., a dockerd with everything it has below the folder $1,
// and takes all of it away at the end. That comes when stdin does, a pipe which only the
// test process holds open, in whatever way that process ends. The dockerd ends its
// containers and its containerd when it is told to, but leaves the bridges of networks:
// those that [Engine.stop] had no chance to remove are deleted where there is a program for
// that. What is still mounted is unmounted.
const guardScript = `
dir=$1
shift
exec 3<&0
"$@" </dev/null >"$dir/log" 2>&1 3<&- &
engine=$!
( read -r _ <&3
  kill "$engine"
  n=0
  while kill -0 "$engine" && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done
  kill -9 "$engine"
) 2>/dev/null &
wait "$engine" 2>/dev/null
kill -9 $! 2>/dev/null
kill -9 $(cat "$dir/exec/containerd/containerd.pid" 2>/dev/null) 2>/dev/null
while read -r _ where _; do
  case $where in "$dir"/*) umount -l "$where" ;; esac
done </proc/mounts 2>/dev/null
grep -aoh 'br-[0-9a-f]\{12\}' "$dir/data/network/files/local-kv.db" 2>/dev/null | sort -u |
while read -r bridge; do ip link delete "$bridge"; done 2>/dev/null
rm -rf "$dir"
`

// guard keeps a dockerd from outliving the test process.
type guard struct {
	stdin io.Closer
	ended chan struct{}
}

// startGuarded starts a command with its folder.
func startGuarded(dir string, args ...string) (*guard, error) {
	cmd := exec.Command("sh", append([]string{"-c", guardScript, "dockertest", dir}, args...)...)
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &guard{stdin: stdin, ended: make(chan struct{})}
	go func() {
		defer close(g.ended)
		_ = cmd.Wait()
	}()
	return g, nil
}

// end ends the command and waits until nothing of it is left.
func (g *guard) end() {
	_ = g.stdin.Close()
	<-g.ended
}
