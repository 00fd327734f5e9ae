package main

import (
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// startEmbedded starts a Redis in memory, whose clock, which would stand still, goes
// with ours. stop ends it.
func startEmbedded() (address string, stop func(), err error) {
	server, err := miniredis.Run()
	if err != nil {
		return "", nil, err
	}
	const tick = 50 * time.Millisecond
	ticker := time.NewTicker(tick)
	stopped := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() {
		for {
			select {
			case <-ticker.C:
				server.FastForward(tick)
			case <-stopped:
				return
			}
		}
	})
	return server.Addr(), func() {
		ticker.Stop()
		close(stopped)
		clock.Wait()
		server.Close()
	}, nil
}
