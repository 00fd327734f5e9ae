package redisbinding

import (
	"iter"
	"strconv"
	"time"

	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// newRecorder returns what records the calls of a binding, nil when nothing does.
func newRecorder(m *Metadata, o *options) (*telemetry.Recorder, error) {
	config := telemetry.Config{
		TracerProvider: o.tracerProvider,
		MeterProvider:  o.meterProvider,
		Scope:          "github.com/redisbinding/redisbinding",
		Addrs:          m.addrs,
		Keys:           o.keysInSpans,
		ErrorTypes:     []telemetry.ErrorType{{Err: ErrClosed, Name: "ErrClosed"}, {Err: ErrNoToken, Name: "ErrNoToken"}},
	}
	if m.Failover {
		config.Master = m.SentinelMasterName
	}
	if m.RedisType == TypeNode {
		config.Namespace = strconv.Itoa(m.RedisDB)
	}
	return telemetry.New(config)
}

// observe has the recorder report what the client is like.
func (c *client) observe(recorder *telemetry.Recorder, m *Metadata) error {
	sources := telemetry.Sources{
		Pool: func() telemetry.PoolStats { return c.poolStats(m) },
		Calls: func() telemetry.CallStats {
			return telemetry.CallStats{Direct: int64(c.lanes.direct.Load()), Pipelined: int64(c.lanes.pipelined.Load())} //nolint:gosec // not so many
		},
	}
	if c.tokens != nil {
		sources.TokenExpiry = func() time.Time {
			if token := c.tokens.current.Load(); token != nil {
				return token.expires
			}
			return time.Time{}
		}
	}
	return recorder.Observe(sources)
}

// poolStats adds up what waits in the lanes and in the pool behind them. The most
// connections that there may be are those to one server.
func (c *client) poolStats(m *Metadata) telemetry.PoolStats {
	pool := c.redis.PoolStats()
	total, idle := int64(pool.TotalConns), int64(pool.IdleConns)
	return telemetry.PoolStats{
		Idle:            idle,
		Used:            max(0, total-idle), // they are not counted at the same time
		Max:             int64(m.PoolSize),
		IdleMin:         int64(m.MinIdleConns),
		PendingRequests: int64(pool.PendingRequests) + c.lanes.waiting(),
		Timeouts:        int64(pool.Timeouts) + c.lanes.timeouts.Load(),
	}
}

// describe says for telemetry what the command is. It shows no value.
func (c *call) describe() telemetry.Call {
	d := telemetry.Call{Key: c.key}
	switch c.args[0] {
	case "ping":
		d.Command, d.Key = "PING", ""
	case "get":
		d.Command = "GET"
	case "getdel":
		d.Command = "GETDEL"
	case "del":
		d.Command = "DEL"
	case "incr":
		d.Command = "INCR"
	case "set":
		d.Command, d.Arguments = "SET", "?"
		if len(c.args) > 3 {
			d.Arguments = "? EX ?"
			if c.args[3] == "px" {
				d.Arguments = "? PX ?"
			}
		}
	case "eval":
		d.Command, d.Script = "EVAL", "getdel"
		if c.args[1] == incrScript {
			d.Script, d.Arguments = "increment", "?"
		}
	}
	return d
}

// describe yields the commands of those requests that have one.
func (b *RedisBinding) describe(reqs []*InvokeRequest) iter.Seq[telemetry.Call] {
	return func(yield func(telemetry.Call) bool) {
		for _, req := range reqs {
			cmd, err := b.command(req)
			if err != nil {
				continue
			}
			description := cmd.describe()
			cmd.free()
			if !yield(description) {
				return
			}
		}
	}
}
