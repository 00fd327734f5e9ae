package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// script is a piece of Lua that does to one key all that a call has to do, so that
// a call is one round trip and nothing comes in between. Errors of commands are
// handed on as they are, which servers before 7.0 do not do by themselves.
type script struct{ name, source, sha string }

func newScript(name, source string) *script {
	return &script{name, source, redis.NewScript(source).Hash()}
}

// refreshLua begins the sliding expiration anew, as RedisCache of .NET does: for
// the sliding expiration or what is left of the absolute one, in whole
// milliseconds, and what has ended is deleted. ARGV is the moment it is now, as
// seconds and the ticks beyond them: whole, ticks are more than a number of Lua
// can hold exactly.
const refreshLua = `
local function refresh(absolute, sliding)
	if not sliding or sliding == '-1' then return end
	local left = tonumber(sliding)
	if left and absolute and absolute ~= '-1' then
		local beyond = tonumber(string.sub(absolute, -7))
		local seconds = tonumber(string.sub(absolute, 1, -8)) or 0
		left = beyond and math.min(left, (seconds - ARGV[1]) * 1e7 + beyond - ARGV[2])
	end
	if not left then
		return redis.error_reply('ERR absexp and sldexp of a cache entry must be numbers')
	end
	redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(0, (left - left % 1e4) / 1e4)))
end
`

var (
	// getScript reads an entry. It answers nil when there is none, or the value; when
	// ARGV[3] asks for more, or the entry has tags, a list of the value, for how many
	// milliseconds the entry lives on (ttlForEver, ttlSliding), and its tags.
	getScript = newScript("get", refreshLua+`
local entry = redis.pcall('HMGET', KEYS[1], 'absexp', 'sldexp', 'data', 'tags')
if entry.err then return entry end
local failed = refresh(entry[1], entry[2])
if failed then return failed end
local value, tags = entry[3], entry[4]
if not value or not tags and not ARGV[3] then return value end
local ttl = -2
if not entry[2] or entry[2] == '-1' then ttl = redis.call('PTTL', KEYS[1]) end
return {value, ttl, tags}
`)

	// refreshScript is getScript without the value.
	refreshScript = newScript("refresh", refreshLua+`
local entry = redis.pcall('HMGET', KEYS[1], 'absexp', 'sldexp')
if entry.err then return entry end
return refresh(entry[1], entry[2])
`)

	// setScript writes an entry. ARGV is absexp, sldexp, data, the TTL in seconds (or
	// -1), and tags if there are some. Nothing is left of an entry that was there,
	// neither its TTL nor its tags.
	setScript = newScript("set", `
local written = redis.pcall('HSET', KEYS[1], 'absexp', ARGV[1], 'sldexp', ARGV[2], 'data', ARGV[3])
if type(written) == 'table' and written.err then return written end
if ARGV[5] then
	redis.call('HSET', KEYS[1], 'tags', ARGV[5])
else
	redis.call('HDEL', KEYS[1], 'tags')
end
if ARGV[4] == '-1' then
	redis.call('PERSIST', KEYS[1])
else
	redis.call('EXPIRE', KEYS[1], ARGV[4])
end
return redis.status_reply('OK')
`)
)

const (
	ttlForEver = -1
	ttlSliding = -2 // ends when it is not read: how long it lives on, reading has changed
)

// moment is a moment in ticks as scripts want it: seconds and the ticks beyond them.
func moment(ticks int64) []any { return []any{ticks / ticksPerSecond, ticks % ticksPerSecond} }

// command is a script about to be run on a key.
type command struct {
	script *script
	key    string // as Redis has it
	args   []any
	cmd    *redis.Cmd // sent, with its reply
}

// prepare makes the command to send: with the whole script when the server does
// not have it yet.
func (c *command) prepare(ctx context.Context, whole bool) {
	args := make([]any, 0, 4+len(c.args))
	if whole {
		args = append(args, "eval", c.script.source, 1, c.key)
	} else {
		args = append(args, "evalsha", c.script.sha, 1, c.key)
	}
	c.cmd = redis.NewCmd(ctx, append(args, c.args...)...)
}

// run sends commands in one round trip, and again those whose script the server
// did not have. The error is that of the first that failed; each has its own.
func (c *Cache) run(ctx context.Context, commands ...*command) error {
	client, err := c.connection.client(ctx)
	if err != nil {
		return err
	}
	ctx, op := c.start(ctx, commands)
	for _, cmd := range commands {
		cmd.prepare(ctx, false)
	}
	send(ctx, client, commands)
	var unknown []*command
	for _, cmd := range commands {
		if redis.HasErrorPrefix(cmd.cmd.Err(), "NOSCRIPT") {
			cmd.prepare(ctx, true)
			unknown = append(unknown, cmd)
		}
	}
	if len(unknown) > 0 {
		send(ctx, client, unknown)
	}
	for _, cmd := range commands {
		if failed := cmd.err(); failed != nil && err == nil {
			err = failed
		}
	}
	op.End(err)
	return err
}

func send(ctx context.Context, client redis.UniversalClient, commands []*command) {
	if len(commands) == 1 {
		_ = client.Process(ctx, commands[0].cmd)
		return
	}
	pipeline := client.Pipeline()
	for _, cmd := range commands {
		_ = pipeline.Process(ctx, cmd.cmd)
	}
	_, _ = pipeline.Exec(ctx)
}

// err is why the command has failed; that there is no entry is no failure.
func (c *command) err() error {
	if err := c.cmd.Err(); !errors.Is(err, redis.Nil) {
		return redact.Error(err)
	}
	return nil
}

// start begins to record the commands, as one operation.
func (c *Cache) start(ctx context.Context, commands []*command) (context.Context, telemetry.Operation) {
	if len(commands) == 1 {
		return c.recorder.Start(ctx, commands[0].call())
	}
	return c.recorder.StartBatch(ctx, func(yield func(telemetry.Call) bool) {
		for _, cmd := range commands {
			if !yield(cmd.call()) {
				return
			}
		}
	})
}

func (c *command) call() telemetry.Call {
	return telemetry.Call{Command: "EVALSHA", Script: c.script.name, Key: c.key}
}
