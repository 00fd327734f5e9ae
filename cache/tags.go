package cache

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// tagPrefix is what HybridCache of .NET puts before a tag to get the key under which
	// it is written when the tag was removed.
	tagPrefix = "__MSFT_HCT__"
	// allTags stands for everything.
	allTags = "*"
	// MaximumTags is how many tags an entry may have. One that has more, whoever wrote it,
	// is passed over, as each tag of it would have to be asked about.
	MaximumTags = 256
	// tagExpiration is how long it is known that a tag was removed.
	tagExpiration = 1000 * 24 * time.Hour
)

// isTag says whether the tag may be one, allTags included.
func isTag(tag string) bool {
	return utf8.ValidString(tag) && strings.TrimSpace(tag) != ""
}

// RemoveByTag makes all entries that have one of the tags, and were made until now,
// misses for this and all other nodes, HybridCache of .NET included when both use its format.
// "*" stands for everything that has tags, with [WithHybridFormat] for everything. The
// entries themselves stay in Redis until they expire or are written anew: what is
// written is when the tag was removed, which is kept for 1000 days.
//
// It goes by the clocks of the nodes: one whose clock is behind may take an entry
// written after the removal for one from before it, or the other way round. It is one
// round trip. Errors: [ErrTag]; errors of Redis are always returned, as then no other
// node knows.
func (c *Cache) RemoveByTag(ctx context.Context, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	now := c.now()
	ends, err := (&EntryOptions{AbsoluteExpirationRelativeToNow: tagExpiration}).expiry(now)
	if err != nil {
		return err
	}
	at := ticksOf(now)
	args := []any{
		decimal(ends.absolute), decimal(ends.sliding),
		binary.LittleEndian.AppendUint64(nil, uint64(at)), //nolint:gosec // no clock is before the year 1
		decimal(ends.ttl(at)),
	}
	commands := make([]*command, len(tags))
	for i, tag := range tags {
		if !isTag(tag) {
			return ErrTag
		}
		commands[i] = &command{script: removeTagScript, key: c.instance + tagPrefix + tag, args: args}
	}
	err = c.run(ctx, commands...)
	c.flights.outdate(tags)
	if c.local != nil {
		for _, tag := range tags {
			c.local.invalidateTag(tag)
		}
	}
	if err != nil {
		return fmt.Errorf("cache: remove by tag: %w", err)
	}
	return nil
}

// removals are when tags were removed, in ticks; 0 for those that were not.
type removals map[string]int64

// readRemovals adds what commands have read about tags.
func (c *Cache) readRemovals(ctx context.Context, r removals, tags []string, commands []*command) error {
	for i, tag := range tags {
		reply, err := commands[i].reply()
		switch {
		case err != nil:
			return err
		case reply == nil:
			r[tag] = 0
		case len(reply.data) != 8:
			c.warn(ctx, "a tag was taken for one that was not removed", fmt.Errorf("the time has %d bytes in place of 8", len(reply.data)))
			r[tag] = 0
		default:
			r[tag] = int64(binary.LittleEndian.Uint64([]byte(reply.data))) //nolint:gosec // ticks
		}
	}
	return nil
}

// removed says whether the entry was made before one of its tags was removed.
func (r removals) removed(e *entry) bool {
	if e.created <= r[allTags] {
		return true
	}
	for _, tag := range e.tags {
		if e.created <= r[tag] {
			return true
		}
	}
	return false
}

// readingTag reads when a tag was removed. Such entries never slide.
func (c *Cache) readingTag(tag string) *command {
	return &command{script: getScript, key: c.instance + tagPrefix + tag, plain: true, args: moment(0)}
}

// dropRemoved makes the entries nil that are removed. For tags that were not asked
// about it takes another round trip.
func (c *Cache) dropRemoved(ctx context.Context, entries []*entry, known removals) error {
	var unknown []string
	ask := func(tag string) {
		if _, ok := known[tag]; !ok {
			known[tag] = 0
			unknown = append(unknown, tag)
		}
	}
	for _, e := range entries {
		if e == nil || e.created == 0 {
			continue
		}
		ask(allTags)
		for _, tag := range e.tags {
			ask(tag)
		}
	}
	var err error
	if len(unknown) > 0 {
		commands := make([]*command, len(unknown))
		for i, tag := range unknown {
			commands[i] = c.readingTag(tag)
		}
		if err = c.run(ctx, commands...); err == nil {
			err = c.readRemovals(ctx, known, unknown, commands)
		}
	}
	for i, e := range entries {
		if e != nil && e.created != 0 && (err != nil || known.removed(e)) { // with an error nobody knows
			entries[i] = nil
		}
	}
	return err
}

// encodeTags returns the field that plain entries with tags have beside those of
// .NET, which does not look at it: when the entry was made, in ticks, a space, and
// the tags as a JSON array.
func encodeTags(created int64, tags []string) []byte {
	list, _ := json.Marshal(tags) // of strings: there is no error
	return append(append(strconv.AppendInt(nil, created, 10), ' '), list...)
}

func decodeTags(field string) (created int64, tags []string, err error) {
	at, list, _ := strings.Cut(field, " ")
	if created, err = strconv.ParseInt(at, 10, 64); err != nil || created <= 0 || created > lastTick {
		return 0, nil, errors.New("its field tags does not begin with a number of ticks")
	}
	if json.Unmarshal([]byte(list), &tags) != nil {
		return 0, nil, errors.New("its field tags has no list of tags")
	}
	if len(tags) > MaximumTags {
		return 0, nil, errors.New("it has too many tags")
	}
	return created, tags, nil
}
