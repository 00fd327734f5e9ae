package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/redisbinding/redisbinding/internal/resp"
)

// sentinels finds the primary by asking the sentinels, and follows it when it
// moves.
//
// go-redis's failover client does this too, but waits for every sentinel where
// one has answered, under a lock that its Close wants as well: one hung
// sentinel of three delays each connection and Close by readTimeout.
type sentinels struct {
	name   string // what they call the primary
	opts   redis.Options
	dialer *dialer
	moved  func(primary string) // called with the primary when it may be another one

	lookups singleflight.Group
	follows sync.Once
	started chan struct{} // closed when somebody has found a primary

	mu    sync.Mutex
	addrs []string // those of redisHost, and those they have named
}

// switchMaster is the channel on which a sentinel tells that a primary has moved.
const switchMaster = "+switch-master"

// checkInterval is how long a subscription may be silent before the sentinel is
// asked for a sign of life, and how long to wait for that.
const checkInterval = 3 * time.Second

// resubscribePause is how long to wait before another sentinel is subscribed to.
const resubscribePause = 200 * time.Millisecond

// newSentinels takes the options of the client of the primary: those of the
// sentinels differ only in whom they authenticate as, and that one connection at
// a time is enough.
func newSentinels(opts *redis.UniversalOptions, dialer *dialer, moved func(primary string)) *sentinels {
	s := &sentinels{
		name:    opts.MasterName,
		opts:    *opts.Simple(),
		dialer:  dialer,
		moved:   moved,
		addrs:   slices.Clone(opts.Addrs),
		started: make(chan struct{}),
	}
	s.opts.Dialer = dialer.dial
	s.opts.Username, s.opts.Password = opts.SentinelUsername, opts.SentinelPassword
	s.opts.StreamingCredentialsProvider = nil
	s.opts.DB, s.opts.PoolSize, s.opts.MinIdleConns = 0, 1, 0
	return s
}

// client returns a client of one sentinel, to be closed by the caller.
func (s *sentinels) client(addr string) *redis.SentinelClient {
	opts := s.opts
	opts.Addr = addr
	return redis.NewSentinelClient(&opts)
}

func (s *sentinels) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addrs)
}

// primary returns the address of the primary. Who asks at the same time shares
// one lookup.
func (s *sentinels) primary(ctx context.Context) (string, error) {
	lookup := s.lookups.DoChan("", func() (any, error) { return s.ask() })
	select {
	case result := <-lookup:
		if result.Err != nil {
			return "", result.Err
		}
		s.follows.Do(func() { close(s.started) })
		return result.Val.(string), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ask asks all sentinels at once and returns the first answer, within the
// dial timeout: finding the primary is part of connecting to it.
func (s *sentinels) ask() (string, error) {
	ctx, cancel := context.WithTimeout(s.dialer.ctx, s.opts.DialTimeout)
	defer cancel()
	type answer struct {
		primary string
		err     error
	}
	addrs := s.known()
	answers := make(chan answer, len(addrs))
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, addr := range addrs {
		sentinel := s.client(addr)
		defer sentinel.Close() // cuts off those who have not answered
		asking.Go(func() {
			primary, err := s.askOne(ctx, sentinel, addr)
			answers <- answer{primary, s.dialer.orTimeout(err, "sentinel "+addr)}
		})
	}
	var errs []error
	for range addrs {
		a := <-answers
		if a.err == nil {
			return a.primary, nil
		}
		errs = append(errs, a.err)
	}
	return "", errors.Join(errs...)
}

// askOne asks the sentinel at addr.
func (s *sentinels) askOne(ctx context.Context, sentinel *redis.SentinelClient, addr string) (string, error) {
	hostPort, err := sentinel.GetMasterAddrByName(ctx, s.name).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("sentinel %s does not know %q: %w", addr, s.name, err)
	case err != nil:
		return "", fmt.Errorf("sentinel %s: %w", addr, reveal(err)) // there may be several
	case len(hostPort) != 2:
		return "", fmt.Errorf("sentinel %s answered with %d words", addr, len(hostPort))
	}
	return net.JoinHostPort(hostPort[0], hostPort[1]), nil
}

// follow keeps a subscription to one of the sentinels, from when the primary
// has first been found until the dialer is closed.
func (s *sentinels) follow() {
	ctx := s.dialer.ctx
	select {
	case <-s.started:
	case <-ctx.Done():
		return
	}
	for {
		for _, addr := range s.known() {
			s.subscribe(ctx, addr)
			select {
			case <-time.After(resubscribePause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// subscribe listens to one sentinel until the subscription is lost.
func (s *sentinels) subscribe(ctx context.Context, addr string) {
	sentinel := s.client(addr)
	defer sentinel.Close()
	subscription := sentinel.Subscribe(ctx, switchMaster)
	defer subscription.Close()
	if _, err := resp.Receive(ctx, subscription, checkInterval); err != nil {
		return
	}
	s.learn(ctx, sentinel)
	// The primary may have moved while nobody listened.
	if primary, err := s.primary(ctx); err == nil {
		s.moved(primary)
	}
	for silent := false; ; {
		event, err := resp.Receive(ctx, subscription, checkInterval)
		switch {
		case isTimeout(err) && !silent:
			silent = true
			if subscription.Ping(ctx) != nil {
				return
			}
			continue
		case err != nil:
			return
		}
		silent = false
		if message, ok := event.(*redis.Message); ok {
			s.read(message.Payload)
		}
	}
}

// read reads what is told on switchMaster: name, old host and port, new host and port.
func (s *sentinels) read(payload string) {
	if words := strings.Fields(payload); len(words) == 5 && words[0] == s.name {
		s.moved(net.JoinHostPort(words[3], words[4]))
	}
}

// learn adds the other sentinels that this one knows, for when those of
// redisHost are gone.
func (s *sentinels) learn(ctx context.Context, sentinel *redis.SentinelClient) {
	others, err := sentinel.Sentinels(ctx, s.name).Result()
	if err == nil { // or those of redisHost will have to do
		s.add(others)
	}
}

func (s *sentinels) add(others []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range others {
		if len(s.addrs) >= resp.MaxSentinels {
			return
		}
		if other["ip"] == "" || other["port"] == "" {
			continue
		}
		if addr := net.JoinHostPort(other["ip"], other["port"]); !slices.Contains(s.addrs, addr) {
			s.addrs = append(s.addrs, addr)
		}
	}
}
