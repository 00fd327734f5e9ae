package hosting

import (
	"context"
	"errors"
)

// startPeers starts servers that are told each other's ports, on ports that are free. The port
// beside is by so much higher, and has to be free, too; 0 is none. configure is called when the ports
// are set.
func startPeers(ctx context.Context, e engine, m *member, beside int, configure func()) ([]instance, error) {
	for attempt := 1; ; attempt++ {
		if err := setPorts(m.servers, beside); err != nil {
			return nil, err
		}
		if configure != nil {
			configure()
		}
		instances, err := e.start(ctx, m.servers, m.progress)
		if err == nil || !errors.Is(err, ErrPortTaken) || attempt == portAttempts {
			return instances, err
		}
	}
}
