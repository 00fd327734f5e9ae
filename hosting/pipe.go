package hosting

import (
	"io"
	"os"
	"sync"
	"time"
)

// pipe carries the output of a process group to a writer: the process may end long
// before the last that it has started and that writes.
type pipe struct {
	read, write *os.File
	to          io.WriteCloser
	copied      chan struct{} // closed when there is nothing more to read
	drained     sync.Once
}

func newPipe(to io.WriteCloser) (*pipe, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &pipe{read: read, write: write, to: to, copied: make(chan struct{})}
	go func() {
		defer close(p.copied)
		_, _ = io.Copy(to, read)
	}()
	return p, nil
}

// started closes the end that the process has now, or that nobody will have. The pipe may
// be nil.
func (p *pipe) started() {
	if p != nil {
		_ = p.write.Close()
	}
}

// drainGrace is how long to wait for the end of output whose group has ended: something
// that has left the group may keep it open.
const drainGrace = time.Second

// drain reads what there is left and closes the writer. The pipe may be nil.
func (p *pipe) drain() {
	if p == nil {
		return
	}
	p.drained.Do(func() {
		select {
		case <-p.copied:
		case <-time.After(drainGrace):
		}
		_ = p.read.Close()
		<-p.copied
		_ = p.to.Close()
	})
}
