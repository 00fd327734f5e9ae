package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// entry is an entry as it is in Redis.
type entry struct {
	value   []byte
	ttl     int64    // how many milliseconds it lives on, ttlForEver or ttlSliding; 0: not asked
	created int64    // in ticks; 0: RemoveByTag has nothing to do with it
	tags    []string // beside allTags, which every entry has that was created
}

// fetch reads the entry of a key, nil when there is none. tags are those that it is
// likely to have: it is read when they were removed in the same round trip.
func (c *Cache) fetch(ctx context.Context, key string, tags []string, ttl bool) (*entry, error) {
	if c.hybrid || len(tags) > 0 {
		entries, err := c.fetchMany(ctx, []string{key}, tags, ttl)
		return entries[0], err
	}
	read := c.reading(key, c.now(), ttl)
	if err := c.run(ctx, read); err != nil {
		return nil, err
	}
	e, err := c.decode(ctx, key, read)
	if err != nil || e == nil || e.created == 0 {
		return e, err
	}
	entries := []*entry{e}
	err = c.dropRemoved(ctx, entries, removals{})
	return entries[0], err
}

// fetchMany reads the entries of keys, nil for those that have none. With an error,
// which is that of the first key that has failed, the others are there all the same, unless
// it is not known when their tags were removed.
func (c *Cache) fetchMany(ctx context.Context, keys, tags []string, ttl bool) ([]*entry, error) {
	if c.hybrid || len(tags) > 0 {
		tags = append(slices.Clip(tags), allTags)
	}
	now := c.now()
	commands := make([]*command, 0, len(keys)+len(tags))
	for _, key := range keys {
		commands = append(commands, c.reading(key, now, ttl))
	}
	for _, tag := range tags {
		commands = append(commands, c.readingTag(tag))
	}
	entries := make([]*entry, len(keys))
	if err := c.run(ctx, commands...); err != nil && commands[0].cmd == nil { // there is no client
		return entries, err
	}
	known := removals{}
	if err := c.readRemovals(ctx, known, tags, commands[len(keys):]); err != nil {
		return entries, err
	}
	var failed error
	for i, key := range keys {
		var err error
		if entries[i], err = c.decode(ctx, key, commands[i]); err != nil && failed == nil {
			failed = err
		}
	}
	return entries, errors.Join(failed, c.dropRemoved(ctx, entries, known))
}

func (c *Cache) reading(key string, now time.Time, ttl bool) *command {
	read := &command{script: getScript, key: c.instance + key, args: moment(ticksOf(now))}
	if ttl { // which HMGET does not tell
		read.args = append(read.args, 1)
	} else {
		read.plain = c.natures.isPlain(read.key)
	}
	return read
}

// reply is what reading an entry has answered.
type reply struct {
	data string
	ttl  int64
	tags string
}

// reply returns the reply to a command that reads, nil when there is no entry.
func (c *command) reply() (*reply, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	var r reply
	isText, isNumber := true, true
	switch answer := c.cmd.Val().(type) {
	case nil:
		return nil, nil
	case string:
		r.data = answer
	case []any:
		if len(answer) != 3 {
			isText = false
			break
		}
		if c.plain && answer[0] == nil {
			return nil, nil
		}
		r.data, isText = answer[0].(string)
		if !c.plain { // or else it is sldexp
			r.ttl, isNumber = answer[1].(int64)
		}
		r.tags, _ = answer[2].(string)
	default:
		isText = false
	}
	if !isText || !isNumber {
		return nil, fmt.Errorf("the server answered with %T: is this Redis?", c.cmd.Val())
	}
	return &r, nil
}

// decode returns the entry that a command has read.
func (c *Cache) decode(ctx context.Context, key string, read *command) (*entry, error) {
	reply, err := read.reply()
	if err != nil || reply == nil {
		return nil, err
	}
	if !read.plain {
		c.natures.saw(read.key, reply.ttl == ttlSliding)
	}
	e := &entry{value: []byte(reply.data), ttl: reply.ttl}
	switch {
	case c.hybrid:
		var p *payload
		if p, err = decodeHybrid(key, e.value); err == nil {
			e.value, e.created, e.tags = p.value, p.created, p.tags
		}
	case reply.tags != "":
		e.created, e.tags, err = decodeTags(reply.tags)
	}
	if err != nil {
		c.warn(ctx, "an entry was passed over", err)
		return nil, nil
	}
	return e, nil
}

// keepFor returns for how long the entry may be kept in process, most at most, when
// reading it took some time; 0: not at all.
func (e *entry) keepFor(most, reading time.Duration) time.Duration {
	switch e.ttl {
	case ttlSliding:
		return 0
	case ttlForEver:
		return most
	}
	left := min(e.ttl, most.Milliseconds()+reading.Milliseconds()+1) // no overflow below
	return max(0, min(most, time.Duration(left)*time.Millisecond-reading))
}
