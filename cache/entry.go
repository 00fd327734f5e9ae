package cache

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// EntryOptions say how long an entry lives and what it is known by. The zero
// value is an entry that lives for ever (with [Cache.GetOrCreate] and
// [WithHybridFormat], for the default expiration).
type EntryOptions struct {
	// AbsoluteExpiration is when the entry ends, however often it is used: after now
	// and before the year 10000. The zero Time is never.
	AbsoluteExpiration time.Time

	// AbsoluteExpirationRelativeToNow is the same as a duration from now: more than
	// 0; 0 is never. It wins over AbsoluteExpiration, which is checked all the same.
	AbsoluteExpirationRelativeToNow time.Duration

	// SlidingExpiration ends the entry when it has not been read for that long: more
	// than 0; 0 is no such end. Every Get and Refresh begins it anew, but never
	// beyond the absolute expiration. An entry that has one is not kept by [WithLocal],
	// where reads would not reach Redis.
	SlidingExpiration time.Duration

	// LocalExpiration is how long at most [WithLocal] keeps the entry in process: more
	// than 0; 0 is [DefaultExpiration]. It never outlives the entry in Redis.
	LocalExpiration time.Duration

	// Tags are what [Cache.RemoveByTag] may find the entry by: [MaximumTags] at most, each
	// not blank, valid UTF-8, and not "*", which is all of them.
	Tags []string

	// Flags turn off parts of [Cache.GetOrCreate].
	Flags Flags
}

// Flags turn off parts of [Cache.GetOrCreate], by the names and numbers that
// HybridCacheEntryFlags of .NET has for them. Add them up with |.
type Flags uint8

const (
	// DisableLocalCacheRead passes the values kept in process over.
	DisableLocalCacheRead Flags = 1 << iota
	// DisableLocalCacheWrite keeps no value in process.
	DisableLocalCacheWrite
	// DisableDistributedCacheRead does not ask Redis for the entry.
	DisableDistributedCacheRead
	// DisableDistributedCacheWrite does not store the entry in Redis.
	DisableDistributedCacheWrite
	// DisableUnderlyingData does not call the factory: what is not cached is nil.
	DisableUnderlyingData
)

// What [EntryOptions] and keys can have wrong with them, for errors.Is; found before
// anything is sent. The first three texts are those of .NET.
var (
	ErrAbsoluteExpiration = errors.New("cache: The absolute expiration value must be in the future.") //nolint:staticcheck,revive // .NET's own words
	ErrRelativeExpiration = errors.New("cache: The relative expiration value must be positive.")      //nolint:staticcheck,revive // .NET's own words
	ErrSlidingExpiration  = errors.New("cache: The sliding expiration value must be positive.")       //nolint:staticcheck,revive // .NET's own words
	ErrLocalExpiration    = errors.New("cache: the local expiration must not be negative")
	ErrExpirationRange    = errors.New("cache: the absolute expiration must be before the year 10000")
	ErrTag                = errors.New(`cache: a tag must be valid UTF-8, not blank, and of an entry not "*"`)
	ErrTooManyTags        = fmt.Errorf("cache: an entry has %d tags at most", MaximumTags)
	ErrReservedKey        = fmt.Errorf("cache: keys that begin with %s are those of removed tags", tagPrefix)
)

// Times in Redis are ticks of .NET: 100 ns since the year 1, in UTC.
const (
	ticksPerSecond = int64(time.Second / tick)
	tick           = 100 * time.Nanosecond
	unixEpoch      = 621355968000000000  // in ticks
	lastTick       = 3155378975999999999 // the end of the year 9999, .NET's last moment

	none = -1 // in place of an absolute or a sliding expiration
)

// ticksOf returns a moment in ticks. What no int64 of nanoseconds holds, it holds.
func ticksOf(t time.Time) int64 {
	return t.Unix()*ticksPerSecond + int64(t.Nanosecond())/int64(tick) + unixEpoch
}

// expiry is when an entry ends, in ticks, as it is stored.
type expiry struct {
	absolute, sliding int64 // none, or in ticks
}

// expiry checks the options and returns what they mean now.
func (o *EntryOptions) expiry(now time.Time) (expiry, error) {
	e := expiry{none, none}
	switch at := ticksOf(now); {
	case o.AbsoluteExpirationRelativeToNow < 0:
		return e, ErrRelativeExpiration
	case o.SlidingExpiration < 0:
		return e, ErrSlidingExpiration
	case o.LocalExpiration < 0:
		return e, ErrLocalExpiration
	case !o.AbsoluteExpiration.IsZero() && ticksOf(o.AbsoluteExpiration) <= at:
		return e, ErrAbsoluteExpiration
	case o.AbsoluteExpirationRelativeToNow > 0:
		e.absolute = at + int64(o.AbsoluteExpirationRelativeToNow/tick)
	case !o.AbsoluteExpiration.IsZero():
		if o.AbsoluteExpiration.UTC().Year() > 9999 {
			return e, ErrExpirationRange
		}
		e.absolute = ticksOf(o.AbsoluteExpiration)
	}
	if e.absolute > lastTick {
		return e, ErrExpirationRange
	}
	if o.SlidingExpiration > 0 {
		e.sliding = int64(o.SlidingExpiration / tick)
	}
	return e, nil
}

// lifetime returns how long an entry written now lives when it is not read, in
// ticks, or none for ever.
func (e expiry) lifetime(now int64) int64 {
	if e.absolute != none && (e.sliding == none || e.absolute-now < e.sliding) {
		return e.absolute - now
	}
	return e.sliding
}

// ttl returns for how many seconds Redis is to keep an entry written now, none for
// ever. They are truncated: what lives for less than a second ends at once, as
// .NET has it.
func (e expiry) ttl(now int64) int64 {
	if left := e.lifetime(now); left != none {
		return left / ticksPerSecond
	}
	return none
}

// checkTags says whether the tags are some that an entry may have.
func checkTags(tags []string) error {
	if len(tags) > MaximumTags {
		return ErrTooManyTags
	}
	for _, tag := range tags {
		if tag == allTags || !isTag(tag) {
			return ErrTag
		}
	}
	return nil
}

// expires says whether the options name an end of the entry.
func (o *EntryOptions) expires() bool {
	return !o.AbsoluteExpiration.IsZero() || o.AbsoluteExpirationRelativeToNow != 0 || o.SlidingExpiration != 0
}

// decimal is how numbers are stored.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
