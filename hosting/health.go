package hosting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// healthInterval is how often a healthy resource is asked again.
	healthInterval = 5 * time.Second
	// healthTimeout is how long it may take to answer.
	healthTimeout = 2 * time.Second
	// healthPause is how long to wait until one that starts is asked again.
	healthPause = 20 * time.Millisecond
)

// health asks a resource whether it is healthy, and says why it is not.
type health func(context.Context) error

// pings is the health check of a Redis: PING, of a cluster to each of its servers. end ends its
// connections.
func pings(spec connectionSpec) (check health, end func(), err error) {
	o, err := spec.universalOptions()
	if err != nil {
		return nil, nil, err
	}
	// A check asks once, on a connection that is there or a new one.
	o.MaxRetries, o.DialerRetries = -1, 1
	o.PoolSize = 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = healthTimeout, healthTimeout, healthTimeout
	if o.MasterName != "" {
		return sentinelPings(o), func() {}, nil
	}
	var clients []*redis.Client
	addrs := o.Addrs
	for _, addr := range addrs {
		o.Addrs = []string{addr}
		clients = append(clients, redis.NewClient(o.Simple()))
	}
	check = func(ctx context.Context) error {
		for i, client := range clients {
			if err := reachable(ctx, o, addrs[i]); err != nil {
				return err
			}
			if err := client.Ping(ctx).Err(); err != nil {
				return err
			}
		}
		return nil
	}
	end = func() {
		for _, client := range clients {
			_ = client.Close()
		}
	}
	return check, end, nil
}

// sentinelPings is the health check of a primary behind sentinels: PING to the one that the first
// sentinel that answers knows. go-redis's own client prints on standard error whom it has found.
func sentinelPings(o *redis.UniversalOptions) health {
	return func(ctx context.Context) (err error) {
		for _, addr := range o.Addrs {
			if err = reachable(ctx, o, addr); err != nil {
				continue
			}
			asked := o.Simple()
			asked.Addr, asked.DB = addr, 0
			asked.Username, asked.Password = o.SentinelUsername, o.SentinelPassword
			sentinel := redis.NewSentinelClient(asked)
			var primary []string
			primary, err = sentinel.GetMasterAddrByName(ctx, o.MasterName).Result()
			_ = sentinel.Close()
			if err != nil {
				continue
			}
			found := o.Simple()
			found.Addr = net.JoinHostPort(primary[0], primary[1])
			if err := reachable(ctx, o, found.Addr); err != nil {
				return err
			}
			client := redis.NewClient(found)
			defer client.Close()
			return client.Ping(ctx).Err()
		}
		return err
	}
}

// reachable tells whether somebody listens at the address. go-redis finds that out, too, but
// prints it on standard error.
func reachable(ctx context.Context, o *redis.UniversalOptions, addr string) error {
	dial := o.Dialer // through a tunnel
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// listens is the health check of what may not be asked more.
func listens(addr string) health {
	return func(ctx context.Context) error { return reachable(ctx, &redis.UniversalOptions{}, addr) }
}

// answersHTTP is the health check of what serves HTTP: it answers, and with no failure.
func answersHTTP(url string) health {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		client := &http.Client{
			// No connection is kept, and no redirection is followed: to where it leads
			// is not in question.
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode >= http.StatusBadRequest {
			return errors.New(response.Status)
		}
		return nil
	}
}

// within asks with the usual bound.
func (h health) within(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return h(ctx)
}

// wait asks until the answer is good, the resource has ended, or the time is up.
func (h health) wait(parent context.Context, timeout time.Duration, instances []instance) error {
	ctx, cancel := context.WithTimeout(parent, timeout)
	defer cancel()
	ticker := time.NewTicker(healthPause)
	defer ticker.Stop()
	var last error // but for those that the end of ctx is the reason for
	for {
		err := h.within(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		for _, i := range instances {
			select {
			case <-i.done():
				return i.err()
			default:
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
			continue
		}
		if parent.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(parent), last)
		}
		return fmt.Errorf("it runs, but was not healthy within %v: %w", timeout, last)
	}
}
