package cache

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The bytes are those that HybridCache of .NET writes.
func TestHybridLayout(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newTestCache(t, client, at(now), WithHybridFormat(), WithInstanceName("app:"))
	ctx := t.Context()
	for _, write := range []func(EntryOptions) error{
		func(opts EntryOptions) error { return c.Set(ctx, "my key", []byte("value"), opts) },
		func(opts EntryOptions) error {
			require.NoError(t, c.Remove(ctx, "my key"))
			_, err := c.GetOrCreate(ctx, "my key", constant("value"), opts)
			return err
		},
	} {
		require.NoError(t, write(EntryOptions{}))
		fields := client.HGetAll(ctx, "app:my key").Val()
		assert.Equal(t, "638713841456789012", fields["absexp"])
		assert.Equal(t, "-1", fields["sldexp"])
		assert.Equal(t, "0301"+"...."+"14d8571eda2add08"+"00"+"05"+"80bcc1960b"+"00"+"06"+hex.EncodeToString([]byte("my key"))+
			hex.EncodeToString([]byte("value"))+"0301", withoutEntropy(fields["data"]))
		assertTTL(t, client, "app:my key", 300_000)

		require.NoError(t, write(EntryOptions{Tags: []string{"a", "\u00e4\u00f6"}, AbsoluteExpirationRelativeToNow: 12800 * time.Millisecond}))
		assert.Equal(t, "0301"+"...."+"14d8571eda2add08"+"00"+"05"+"80c0843d"+"02"+"06"+hex.EncodeToString([]byte("my key"))+
			"0161"+"04c3a4c3b6"+hex.EncodeToString([]byte("value"))+"0301", withoutEntropy(client.HGet(ctx, "app:my key", "data").Val()))
	}
}

// withoutEntropy is the payload in hexadecimal, the two random bytes left out.
func withoutEntropy(data string) string {
	text := hex.EncodeToString([]byte(data))
	return text[:4] + "...." + text[8:]
}

// The lengths are those of .NET's own test.
func TestHybridLengths(t *testing.T) {
	t.Parallel()
	for want, tags := range map[int][]string{1054: nil, 1063: {"some_tag"}, 1075: {"some_tag", "another_tag"}} {
		data := encodeHybrid("my key", make([]byte, 1024), tags, ticksOf(now), int64(5*time.Minute/tick))
		assert.Len(t, data, want)
		p, err := decodeHybrid("my key", data)
		require.NoError(t, err)
		assert.Equal(t, &payload{make([]byte, 1024), ticksOf(now), int64(5 * time.Minute / tick), tags}, p)
	}
	a, b := encodeHybrid("k", nil, nil, 1, 1), encodeHybrid("k", nil, nil, 1, 1)
	for range 10 {
		if !bytes.Equal(a, b) {
			return
		}
		b = encodeHybrid("k", nil, nil, 1, 1)
	}
	t.Error("two writes of one value are the same")
}

// What is not in the format is a miss, and says why in the log.
func TestNotHybrid(t *testing.T) {
	t.Parallel()
	good := string(encodeHybrid("key", []byte("value"), []string{"tag"}, ticksOf(now), 1))
	at := func(i int, b byte) string { return good[:i] + string([]byte{b}) + good[i+1:] }
	tests := map[string]struct{ data, reason string }{
		"plain":          {strings.Repeat("text", 10), "it begins otherwise"},
		"empty":          {"", "it is too short"},
		"short":          {good[:18], "it is too short"},
		"version":        {at(1, 2), "it begins otherwise"},
		"cut":            {good[:len(good)-1], "it ends otherwise"},
		"flags":          {at(12, 1), "it has flags, which this version does not know"},
		"length":         {at(13, 4), "its length is another than it says"},
		"length, more":   {at(13, 6), "its length is another than it says"},
		"tags":           {at(15, 100), ""},
		"one tag more":   {at(15, 2), ""},
		"too many tags":  {good[:15] + "\x81\x02" + good[16:], "it has too many tags"},
		"key":            {at(17, 'K'), "it is another key's"},
		"tag no UTF-8":   {at(21, 0xff), "a tag is no text"},
		"tag goes on":    {at(20, 100), "a tag is no text"},
		"time":           {at(11, 0xff), "its time of creation cannot be"},
		"time is zero":   {good[:4] + strings.Repeat("\x00", 8) + good[12:], "its time of creation cannot be"},
		"endless number": {good[:12] + strings.Repeat("\xff", 20) + good[12:], ""},
	}
	client := plain(t)
	logger, log := testLogger()
	c := newTestCache(t, client, WithHybridFormat(), WithLogger(logger))
	ctx := t.Context()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decodeHybrid("key", []byte(test.data))
			require.ErrorContains(t, err, "it is not in the format of HybridCache: "+test.reason)
			require.NoError(t, client.HSet(ctx, "key", "absexp", "-1", "sldexp", "-1", "data", test.data).Err())
			_, found, err := c.Get(ctx, "key")
			require.NoError(t, err)
			assert.False(t, found)
			assert.Contains(t, log.String(), test.reason)
			value, err := c.GetOrCreate(ctx, "key", constant("anew"), EntryOptions{})
			require.NoError(t, err)
			assert.Equal(t, "anew", string(value))
			value, found, err = c.Get(ctx, "key")
			require.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, "anew", string(value))
		})
	}
}

// FuzzDecodeHybrid looks for what panics, for values that are not a part of the
// data, and for payloads that are read otherwise than they are written.
func FuzzDecodeHybrid(f *testing.F) {
	f.Add("key", string(encodeHybrid("key", []byte("value"), []string{"tag", "another"}, ticksOf(now), 1)))
	f.Add("", string(encodeHybrid("", nil, nil, ticksOf(now), 1<<60)))
	f.Add("my key", string(encodeHybrid("my key", make([]byte, 300), nil, 1, 0)))
	f.Fuzz(func(t *testing.T, key, data string) {
		p, err := decodeHybrid(key, []byte(data))
		if err != nil {
			return
		}
		if !strings.Contains(data, string(p.value)) {
			t.Error("the value is not in the data")
		}
		written := encodeHybrid(key, p.value, p.tags, p.created, p.duration)
		again, err := decodeHybrid(key, written)
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
