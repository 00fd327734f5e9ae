package hosting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embedded is the engine that runs miniredis inside the program.
type embedded struct {
	run *run
}

func (*embedded) kind() RuntimeKind { return EmbeddedRuntime }

func (*embedded) where() string { return "inside this program, and keeps nothing" }

const insteadOfEmbedded = "install redis-server, or start Docker or Podman"

func (*embedded) supports(s *server) error {
	var what string
	switch {
	case s.sentinel:
		what = "a sentinel"
	case s.persistent:
		what = "WithLifetime(PersistentLifetime)"
	case s.mount != nil:
		what = "a data volume or bind mount"
	case s.save != nil:
		what = "WithPersistence"
	default:
		return nil
	}
	return unsupported(EmbeddedRuntime, what, insteadOfEmbedded)
}

func (*embedded) supportsUI(u *uiServer) error { return supportsNPM(EmbeddedRuntime, u) }

func (e *embedded) startUI(ctx context.Context, u *uiServer, progress func(string)) (instance, error) {
	return commanderFromNPM(ctx, e.run, u, progress)
}

func (*embedded) start(_ context.Context, group []*server, _ func(string)) ([]instance, error) {
	instances := make([]instance, 0, len(group))
	for _, s := range group {
		i, err := startMiniredis(s)
		if err != nil {
			for _, other := range instances {
				_ = other.stop(context.Background()) // it cannot fail
			}
			return nil, err
		}
		instances = append(instances, i)
	}
	return instances, nil
}

func (e *embedded) retire(ctx context.Context, _ []string) error { return e.run.retire(ctx, nil) }

func (*embedded) close(context.Context) error { return nil }

// miniServer is a miniredis whose time passes.
type miniServer struct {
	redis *miniredis.Miniredis
	ended chan struct{}
	once  sync.Once
	clock sync.WaitGroup
}

// miniTick is how often the time of a miniredis moves on, so how late a key may expire.
const miniTick = 50 * time.Millisecond

func startMiniredis(s *server) (*miniServer, error) {
	m := &miniServer{redis: miniredis.NewMiniRedis(), ended: make(chan struct{})}
	if s.password != "" {
		m.redis.RequireAuth(s.password)
	}
	addr := localAddress(s.port)
	var err error
	if s.tls == nil {
		err = m.redis.StartAddr(addr)
	} else {
		config, problem := s.tls.serverConfig()
		if problem != nil {
			return nil, problem
		}
		err = m.redis.StartAddrTLS(addr, config)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, portTaken(s.port)
	case err != nil:
		return nil, fmt.Errorf("starting miniredis: %w", err)
	}
	m.clock.Go(m.tick)
	return m, nil
}

// tick lets TTLs pass, which miniredis leaves to its user.
func (m *miniServer) tick() {
	ticker := time.NewTicker(miniTick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-m.ended:
			return
		case <-ticker.C:
			now := time.Now()
			m.redis.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (m *miniServer) address() string       { return m.redis.Addr() }
func (m *miniServer) done() <-chan struct{} { return m.ended }
func (m *miniServer) err() error            { return nil }

func (m *miniServer) stop(context.Context) error {
	m.once.Do(func() {
		close(m.ended)
		m.clock.Wait()
		m.redis.Close()
	})
	return nil
}
