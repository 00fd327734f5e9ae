package cache

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// GetMany is [Cache.Get] for many keys in one round trip (of a cluster: one to each
// node, at the same time). It returns the values of the keys that have one. With an error,
// which is that of the first key that has failed, the other keys are there all the same,
// unless it is not known whether their tags were removed.
func (c *Cache) GetMany(ctx context.Context, keys ...string) (map[string][]byte, error) {
	values := make(map[string][]byte, len(keys))
	if len(keys) == 0 {
		return values, nil
	}
	entries, err := c.fetchMany(ctx, keys, nil, false)
	if err != nil {
		err = fmt.Errorf("cache: get many: %w", err)
	}
	for i, key := range keys {
		if e := entries[i]; e != nil {
			values[key] = e.value
		}
	}
	c.stats.redisHits.Add(int64(len(values)))
	if err == nil {
		c.stats.misses.Add(int64(len(keys) - len(values)))
	}
	return values, err
}

// SetMany is [Cache.Set] for many keys, with the same options, in one round trip (of a
// cluster: one to each node, at the same time). Each entry is written in one piece, but
// not all of them: an error says how many were not, and wraps why the first was not.
func (c *Cache) SetMany(ctx context.Context, values map[string][]byte, opts EntryOptions) error {
	now := c.now()
	commands := make([]*command, 0, len(values))
	for key, value := range values {
		write, err := c.writing(key, value, &opts, now, ticksOf(now))
		if err != nil {
			return err
		}
		commands = append(commands, write)
	}
	if len(commands) == 0 {
		return nil
	}
	err := c.overwriting(ctx, slices.Collect(maps.Keys(values)), func() error { return c.run(ctx, commands...) })
	if err == nil {
		return nil
	}
	failed := 0
	for _, cmd := range commands {
		if cmd.cmd == nil || cmd.err() != nil {
			failed++
		}
	}
	return fmt.Errorf("cache: set many: %d of %d were not written: %w", failed, len(commands), err)
}
