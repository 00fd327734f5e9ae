package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// script is a piece of Lua that does to one key all that a call has to do, so that
// a call is one round trip and nothing comes in between. Errors of commands are
// handed on as they are, which servers before 7.0 do not do by themselves.
type script struct{ name, source, sha string }

func newScript(name, source string) *script {
	return &script{name, source, redis.NewScript(source).Hash()}
}

// refreshLua begins the sliding expiration of entry, which HMGET has read, anew, as
// RedisCache of .NET does: for the sliding expiration or what is left of the
// absolute one, in whole milliseconds, and what has ended is deleted. ARGV is the
// moment it is now, as seconds and the ticks beyond them: whole, ticks are more than a
// number of Lua can hold exactly.
const refreshLua = `
if entry.err then return entry end
local absolute, sliding = entry[1], entry[2]
if sliding and sliding ~= '-1' then
	local left = tonumber(sliding)
	if left and absolute and absolute ~= '-1' then
		local beyond = tonumber(string.sub(absolute, -7))
		local seconds = tonumber(string.sub(absolute, 1, -8)) or 0
		left = beyond and beyond == beyond and math.min(left, (seconds - ARGV[1]) * 1e7 + beyond - ARGV[2])
	end
	if not left or not (left > -1e19 and left < 1e19) then -- of nan neither is true
		return redis.error_reply('ERR absexp and sldexp of a cache entry must be numbers')
	end
	redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(0, (left - left % 1e4) / 1e4)))
end
`

var (
	// getScript reads an entry. It answers nil when there is none, or the value; when
	// ARGV[3] asks for more, or there is more to tell, a list of the value, for how many
	// milliseconds the entry lives on (ttlForEver, ttlSliding), and its tags.
	getScript = newScript("get", `
local entry = redis.pcall('HMGET', KEYS[1], 'absexp', 'sldexp', 'data', 'tags')
`+refreshLua+`
local value, tags = entry[3], entry[4]
if not value then return value end
if sliding and sliding ~= '-1' then return {value, -2, tags} end
if not tags and not ARGV[3] then return value end
return {value, redis.call('PTTL', KEYS[1]), tags}
`)

	// refreshScript is getScript without the value.
	refreshScript = newScript("refresh", `
local entry = redis.pcall('HMGET', KEYS[1], 'absexp', 'sldexp')
`+refreshLua)

	// setScript writes an entry. ARGV is absexp, sldexp, data, the TTL in seconds (or
	// -1), and tags if there are some. Nothing is left of an entry that was there,
	// neither its TTL nor its tags.
	setScript = newScript("set", setLua)

	// removeTagScript writes when a tag was removed, unless a node whose clock is ahead
	// has written a later time.
	removeTagScript = newScript("remove tag", `
local known = redis.pcall('HGET', KEYS[1], 'absexp')
if type(known) == 'table' then return known end
if known and (tonumber(known) or 0) > tonumber(ARGV[1]) then return redis.status_reply('OK') end
`+setLua)
)

const setLua = `
local written = redis.pcall('HSET', KEYS[1], 'absexp', ARGV[1], 'sldexp', ARGV[2], 'data', ARGV[3])
if type(written) == 'table' then return written end
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
`

const (
	ttlForEver = -1
	ttlSliding = -2 // ends when it is not read: how long it lives on, reading has changed
)

// writes says whether the order matters in which the command is carried out.
func (c *command) writes() bool { return c.script != getScript && c.script != refreshScript }

// moment is a moment in ticks as scripts want it: seconds and the ticks beyond them.
func moment(ticks int64) []any { return []any{ticks / ticksPerSecond, ticks % ticksPerSecond} }

// command is a script about to be run on a key, or UNLINK.
type command struct {
	script *script // nil: UNLINK
	key    string  // as Redis has it
	args   []any
	plain  bool       // getScript only: the entry is thought to have no sliding expiration, and read with HMGET
	cmd    *redis.Cmd // sent, with its reply
}

// prepare makes the command to send: with the whole script when the server does
// not have it yet.
func (c *command) prepare(ctx context.Context, whole bool) {
	switch {
	case c.script == nil:
		c.cmd = redis.NewCmd(ctx, "unlink", c.key)
		return
	case c.plain:
		c.cmd = redis.NewCmd(ctx, "hmget", c.key, "data", "sldexp", "tags")
		return
	}
	args := make([]any, 0, 4+len(c.args))
	if whole {
		args = append(args, "eval", c.script.source, 1, c.key)
	} else {
		args = append(args, "evalsha", c.script.sha, 1, c.key)
	}
	c.cmd = redis.NewCmd(ctx, append(args, c.args...)...)
}

// again says whether the command has to be sent once more, and makes it ready for
// that: when the server did not have its script, or the entry is another one than
// was thought.
func (c *command) again(ctx context.Context) bool {
	switch err := c.cmd.Err(); {
	case redis.HasErrorPrefix(err, "NOSCRIPT"):
		c.prepare(ctx, true)
	case c.plain && err == nil && hasSliding(c.cmd.Val()):
		c.plain = false
		c.prepare(ctx, false)
	default:
		return false
	}
	return true
}

func hasSliding(fields any) bool {
	answer, _ := fields.([]any)
	return len(answer) > 1 && answer[1] != nil && answer[1] != "-1"
}

// run sends commands in one round trip, and those again that have to be. The error
// is that of the first that failed; each has its own.
func (c *Cache) run(ctx context.Context, commands ...*command) error {
	ctx, op := c.start(ctx, commands)
	client, err := c.connection.client(ctx)
	if err != nil {
		op.End(err)
		return err
	}
	for _, cmd := range commands {
		cmd.prepare(ctx, false)
	}
	for left := commands; len(left) > 0; { // at most three times: HMGET, EVALSHA, EVAL
		c.pipelining.send(ctx, client, left)
		var again []*command
		for _, cmd := range left {
			if cmd.again(ctx) {
				again = append(again, cmd)
			}
		}
		left = again
	}
	for _, cmd := range commands {
		if failed := cmd.cmd.Err(); failed != nil && failed != redis.Nil { //nolint:errorlint // as err does
			cmd.cmd.SetErr(c.connection.hide(failed))
		}
		if failed := cmd.err(); failed != nil && err == nil {
			err = failed
		}
	}
	if errors.Is(err, redis.ErrClosed) && c.connection.closed.Load() {
		err = ErrClosed
	}
	op.End(err)
	return err
}

// err is why the command has failed; that there is no entry is no failure. An error
// that wraps redis.Nil, as that of sentinels that do not know the primary, is one.
func (c *command) err() error {
	if err := c.cmd.Err(); err != redis.Nil { //nolint:errorlint // see above
		return explain(err)
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
	switch {
	case c.script == nil:
		return telemetry.Call{Command: "UNLINK", Key: c.key}
	case c.plain:
		return telemetry.Call{Command: "HMGET", Key: c.key}
	}
	return telemetry.Call{Command: "EVALSHA", Script: c.script.name, Key: c.key}
}
