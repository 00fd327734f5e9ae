package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/resp"
)

// Open returns the cache that the configuration describes under a name, by the rules
// of .NET Aspire's integration, so that a Go service can be given the environment
// of a .NET one. Later ones win:
//
//	settings  defaults
//	          appsettings.json and environment variables, each with the sections
//	          Aspire:StackExchange:Redis, Aspire:StackExchange:Redis:{name}
//	          ConnectionStrings:{name}, the connection string alone
//	          WithSettings
//	options   the connection string ([ParseConnectionString])
//	          the sections' ConfigurationOptions
//	          WithRedisOptions
//
// Environment variables have two underscores for a colon (ConnectionStrings__cache), win over
// appsettings.{Environment}.json (DOTNET_ENVIRONMENT or ASPNETCORE_ENVIRONMENT, else
// Production), and that over appsettings.json, both in the working directory if they
// are there. Names are matched without regard to case.
//
// Redis is connected to with the first call (so that a cache can be opened while it is
// down) or in the background [WithLocal], or by Open, within its ctx, when the setting
// DisableAutoActivation is false; with abortConnect=true Open fails when nothing
// answers. Which client it takes never follows from the number of addresses: serviceName
// asks sentinels, and otherwise the servers are asked (INFO): whether they are a
// cluster, and of several which one is the primary. Failing over is followed with
// sentinels and clusters, not among several addresses.
//
// Mistakes are reported all at once, each as a *[ConfigurationError], before anything
// connects. Close the cache to close the connections.
func Open(ctx context.Context, name string, opts ...Option) (*Cache, error) {
	o := newOptions(opts)
	o.name = name
	settings, connection, err := o.configured(name)
	if err != nil {
		return nil, err
	}
	at := connection.UniversalOptions()
	for _, configure := range o.configureRedis {
		configure(at)
	}
	at.Dialer = guarding(at)
	if len(at.Addrs) == 0 {
		return nil, &ConfigurationError{Path: connectionStrings + ":" + name, Reason: noEndpoint(name)}
	}
	if !o.instanceGiven {
		o.instance = settings.InstanceName
	}
	if settings.DisableTracing {
		o.tracerProvider = nil
	}
	o.healthDisabled = settings.DisableHealthChecks
	o.environ, o.configure, o.configureRedis = nil, nil, nil // may hold passwords
	if without := connection.WithoutEffect(); len(without) > 0 {
		o.logger.WarnContext(ctx, "cache: options without effect here", slog.String("cache", name), slog.Any("options", without))
	}
	to := connectedBy(func(ctx context.Context) (redis.UniversalClient, error) { return clientFor(ctx, at) })
	to.secrets = func() []string { return []string{at.Password, at.SentinelPassword} }
	c := newCache(o, to, serversAt(at))
	if connection.AbortConnect() || !settings.DisableAutoActivation {
		err := c.connect(ctx)
		switch {
		case err == nil:
		case connection.AbortConnect():
			return nil, errors.Join(fmt.Errorf("cache: open %q: %w", name, err), c.Close())
		default:
			c.warn(ctx, "Redis does not answer yet", err)
		}
	}
	return c, nil
}

// connect makes the client, and says whether Redis answers.
func (c *Cache) connect(ctx context.Context) error {
	client, err := c.connection.client(ctx)
	if err == nil {
		err = c.connection.hide(explain(client.Ping(ctx).Err()))
	}
	return err
}

// configured returns the settings of a cache, and the connection they describe.
func (o *options) configured(name string) (*Settings, *ConnectionString, error) {
	environ := o.environ
	if environ == nil {
		environ = os.Environ()
	}
	file := o.appSettings
	if file == "" {
		file = "appsettings.json"
	}
	configuration, err := loadConfiguration(file, o.appSettings != "", environ)
	if err != nil {
		return nil, nil, err
	}
	settings, mistakes := configuration.settings(name)
	for _, configure := range o.configure {
		configure(settings)
	}
	settings.endpointLater = len(o.configureRedis) > 0
	connection, err := settings.connection(name)
	return settings, connection, errors.Join(mistakes, err)
}

// serversAt is serversOf for a client that is not there yet.
func serversAt(o *redis.UniversalOptions) servers {
	at := servers{addrs: slices.Clone(o.Addrs), master: o.MasterName}
	if !o.IsClusterMode {
		at.namespace = strconv.Itoa(o.DB)
	}
	return at
}

// clientFor returns a client of the kind that the servers are, which it asks unless
// the options say.
func clientFor(ctx context.Context, o *redis.UniversalOptions) (redis.UniversalClient, error) {
	switch {
	case o.MasterName != "":
		return redis.NewFailoverClient(o.Failover()), nil
	case o.IsClusterMode:
		return newCluster(o), nil
	}
	found := make([]server, len(o.Addrs))
	var asking sync.WaitGroup
	for i, addr := range o.Addrs {
		asking.Go(func() { found[i] = askServer(ctx, o, addr) })
	}
	asking.Wait()
	chosen, err := choose(found)
	for _, s := range found {
		if err != nil || s.client != chosen.client || chosen.mode == "cluster" {
			_ = s.client.Close()
		}
	}
	switch {
	case err != nil:
		return nil, err
	case chosen.mode == "cluster":
		return newCluster(o), nil
	default:
		return chosen.client, nil
	}
}

func newCluster(o *redis.UniversalOptions) redis.UniversalClient {
	cluster := o.Cluster()
	// The routing policies need COMMAND, which a plain user may not run, and what is
	// sent has one key.
	cluster.DisableRoutingPolicies = true
	client := redis.NewClusterClient(cluster)
	resp.LimitNodes(client)
	return client
}

// server is what a server has said about itself.
type server struct {
	addr              string
	client            *redis.Client
	runID, mode, role string // of INFO; empty when it does not tell
	err               error
}

// askServer asks the server at an address, in one round trip.
func askServer(ctx context.Context, o *redis.UniversalOptions, addr string) (s server) {
	of := o.Simple()
	of.Addr = addr
	s = server{addr: addr, client: redis.NewClient(of)}
	// As long as connecting and one reply may take, by go-redis's own defaults when they are not set.
	timeouts := s.client.Options()
	ctx, cancel := context.WithTimeout(ctx, timeouts.DialTimeout+timeouts.ReadTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.client.Close() }) // go-redis minds no cancellation
	defer func() {
		if !stop() && s.err == nil {
			s.err = ctx.Err()
		}
	}()
	pipeline := s.client.Pipeline()
	ping := pipeline.Ping(ctx)
	sections := []*redis.StringCmd{pipeline.Info(ctx, "server"), pipeline.Info(ctx, "replication")}
	_, _ = pipeline.Exec(ctx)
	if s.err = redact.Hide(explain(ping.Err()), o.Password); s.err != nil {
		var network net.Error
		switch {
		case o.TLSConfig == nil && errors.Is(s.err, io.EOF):
			s.err = fmt.Errorf("%w (if the server speaks TLS, set ssl=true)", s.err)
		case o.TLSConfig != nil && errors.As(s.err, &network) && network.Timeout():
			s.err = fmt.Errorf("%w (if the server does not speak TLS there, leave ssl out)", s.err)
		}
		return s
	}
	for _, section := range sections {
		// What is not quite Redis does not know it, and a plain user may not ask: they go
		// by what is configured.
		if reply, err := redis.Error(nil), section.Err(); err != nil && !errors.As(err, &reply) {
			s.err = err
			return s
		}
	}
	info := sections[0].Val() + "\n" + sections[1].Val()
	s.runID, s.mode, s.role = infoField(info, "run_id"), infoField(info, "redis_mode"), infoField(info, "role")
	return s
}

// choose returns the server to connect to, or any one of a cluster.
func choose(found []server) (chosen server, err error) {
	var errs []error
	var primaries []string
	for _, s := range found {
		switch {
		case s.err != nil:
			errs = append(errs, fmt.Errorf("connect to %s: %w", s.addr, s.err))
		case s.mode == "cluster":
			return s, nil
		case s.mode == "sentinel":
			errs = append(errs, fmt.Errorf("connect to %s: it is a sentinel: set serviceName", s.addr))
		case s.role == "slave":
			errs = append(errs, fmt.Errorf("connect to %s: it is a replica, which takes no writes", s.addr))
		case s.runID != "" && s.runID == chosen.runID: // another name of it
		default:
			chosen, primaries = s, append(primaries, s.addr)
		}
	}
	switch {
	case len(primaries) == 0:
		return chosen, errors.Join(errs...)
	case len(primaries) == 1:
		return chosen, nil
	case chosen.mode == "":
		return chosen, fmt.Errorf("%s do not tell what they are (INFO): name the one that is the cache, or set IsClusterMode in WithRedisOptions",
			strings.Join(primaries, " and "))
	default:
		return chosen, fmt.Errorf("%s are neither a cluster nor replicas of each other: name the one that is the cache",
			strings.Join(primaries, " and "))
	}
}
