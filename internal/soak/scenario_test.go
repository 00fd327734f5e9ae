package soak

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/history"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// scenario is something that goes wrong under load.
type scenario struct {
	name string
	load load // what is not set is as in most scenarios

	metadata map[string]string
	options  []redisbinding.Option
	servers  []*redistest.Server     // that have the data
	keeps    history.Server          // what they keep: of values and counters; with redisMaxRetries of counters
	sees     []string                // the kinds of errors that callers may see
	spares   func(group string) bool // says whose data are kept whatever keeps says; nil: nobody's
	must     []string                // those of them that they have to see, or nothing was broken

	// fault breaks things and mends them again, at least once, until ctx ends. It
	// returns what is to be noted.
	fault func(ctx context.Context, s *scenario) (note string)

	began time.Time
}

// run does the scenario: calm, then the fault, then calm again.
func (s *scenario) run(t *testing.T) {
	s.began = time.Now()
	l := &s.load
	l.t = t
	if l.timeout == 0 {
		l.timeout = 10 * time.Second
	}
	if l.pause == 0 {
		l.pause = 10 * time.Millisecond
	}
	if l.size == 0 {
		l.size = 200
	}
	for i := range groups {
		// The braces keep the keys of a group in one slot of a cluster.
		g := &group{t: t, name: fmt.Sprintf("{g%d}", i), server: s.keeps, repeats: s.metadata["redisMaxRetries"] != ""}
		if s.spares != nil && s.spares(g.name) {
			g.server = history.Durable
		}
		l.groups = append(l.groups, g)
	}
	var wrong sync.Map
	l.sawWrong = func(kind string, err error) {
		if !slices.Contains(s.sees, kind) {
			if _, seen := wrong.LoadOrStore(kind, nil); !seen {
				t.Errorf("a caller saw: %v", err)
			}
		}
	}

	before, descriptorsBefore := atRest(), descriptors()
	defer func() {
		settles(t, goroutines, before, "goroutines after Close")
		settles(t, descriptors, descriptorsBefore+slack, "file descriptors after Close")
	}()
	s.metadata["poolSize"] = strconv.Itoa(poolSize)
	l.binding = open(t, s.metadata, s.options...)
	defer closeIt(t, l.binding)
	l.plain = open(t, s.metadata, append([]redisbinding.Option{redisbinding.WithoutPipelining()}, s.options...)...)
	defer closeIt(t, l.plain)

	s.calm(t)
	goroutinesBefore, connectionsBefore := atRest(), s.connections(t)

	seen := newTally()
	for _, g := range l.groups {
		g.watch()
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { l.run(ctx, seen) })
	note := s.fault(within(t, duration), s)
	l.back(time.Now())
	stop()
	running.Wait()
	for _, kind := range s.must {
		assert.Positive(t, seen.kinds[kind], "callers did not see: %s", kind)
	}
	outage := time.Duration(0)
	for _, g := range l.groups {
		outage = max(outage, g.gap())
	}

	l.hurry = 0
	s.check(t)
	s.calm(t)
	settles(t, goroutines, goroutinesBefore+slack, "goroutines after the fault")
	goroutinesAfter, connectionsAfter := atRest(), s.connections(t)
	assert.LessOrEqual(t, connectionsAfter, 2*poolSize*max(1, len(s.servers)/2), "connections after the fault")
	s.check(t)
	s.checkTTLs(t)

	results.add(row{
		name: s.name, seen: seen, outage: outage, keys: s.checked(), note: note,
		goroutines:  [2]int{goroutinesBefore - before, goroutinesAfter - before},
		connections: [2]int{connectionsBefore, connectionsAfter},
	})
}

func open(t *testing.T, metadata map[string]string, opts ...redisbinding.Option) *redisbinding.RedisBinding {
	t.Helper()
	binding, err := redisbinding.NewRedisBinding(metadata, opts...)
	require.NoError(t, err)
	return binding
}

func closeIt(t *testing.T, binding *redisbinding.RedisBinding) {
	t.Helper()
	assert.NoError(t, binding.Close())
}

// poolSize is that of each binding.
const poolSize = 20

// slack is how many goroutines there may be more: workers that wait for something to do,
// as many as round trips that are useful at a time. The farther away the server, the more.
const slack = poolSize

// calm has the callers call while nothing is broken.
func (s *scenario) calm(t *testing.T) {
	t.Helper()
	seen := newTally()
	wrong, hurry := s.load.sawWrong, s.load.hurry
	defer func() { s.load.sawWrong, s.load.hurry = wrong, hurry }()
	s.load.hurry = 0
	s.load.sawWrong = func(_ string, err error) { t.Errorf("a caller saw, with nothing broken: %v", err) }
	s.load.run(within(t, max(duration/4, 200*time.Millisecond)), seen)
}

// check reads all keys that were not checked yet, and checks their histories.
func (s *scenario) check(t *testing.T) {
	var all sync.WaitGroup
	kept := map[*group][]*key{}
	for _, g := range s.load.groups {
		kept[g] = g.keep()
		keys := kept[g]
		all.Go(func() {
			for _, k := range keys {
				assert.NoError(t, s.load.caller(callers-1).read(k))
			}
		})
	}
	all.Wait()
	for g, keys := range kept {
		for _, k := range keys {
			g.check(k)
		}
	}
}

// checked returns how many histories were.
func (s *scenario) checked() (n int) {
	for _, g := range s.load.groups {
		n += g.checked
	}
	return n
}

// checkTTLs looks for keys that were written with a TTL and have none, or another.
func (s *scenario) checkTTLs(t *testing.T) {
	if s.load.ttl == "" {
		return
	}
	for _, server := range s.servers {
		if role, _ := server.Do(t, "ROLE").([]any); role[0] != "master" {
			continue
		}
		keys, err := server.Client().Keys(t.Context(), "*").Result()
		require.NoError(t, err)
		pipe := server.Client().Pipeline()
		for _, key := range keys {
			pipe.PTTL(t.Context(), key)
		}
		ttls, err := pipe.Exec(t.Context())
		require.NoError(t, err)
		for i, cmd := range ttls {
			switch left := cmd.(*redis.DurationCmd).Val(); {
			case left == -2: // it is missing
			case left <= time.Hour-time.Since(s.began), left > time.Hour:
				t.Errorf("TTL of %s: %v", keys[i], left)
			}
		}
	}
}

// connections counts those that the servers have from others than the test, sentinels,
// and a master that moves keys here.
func (s *scenario) connections(t *testing.T) (n int) {
	for _, server := range s.servers {
		list, _ := server.Do(t, "CLIENT", "LIST", "TYPE", "normal").(string)
		for line := range strings.Lines(list) {
			if !strings.Contains(line, "user=redistest") && !strings.Contains(line, "name=sentinel-") && !strings.Contains(line, "cmd=restore") {
				n++
			}
		}
	}
	return n
}

// repeat calls f at least once and until ctx ends, and returns how often it did.
func repeat(ctx context.Context, f func()) (n int) {
	for n == 0 || ctx.Err() == nil {
		f()
		n++
	}
	return n
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
