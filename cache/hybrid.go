package cache

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"unicode/utf8"
)

// The format of HybridCache of .NET, version 1:
//
//	03 01          sentinel and version
//	2 bytes        random, so that two writes of one value differ
//	8 bytes        when it was made, in ticks, little-endian
//	varint x 4     flags, length of the value, duration in ticks, number of tags
//	varint, text   the key
//	varint, text   each tag
//	value
//	03 01          again, and the end
//
// A varint is what encoding/binary calls Uvarint.
const (
	hybridSentinel = "\x03\x01"
	hybridHeader   = len(hybridSentinel) + 2 + 8
	hybridShortest = 19 // as .NET has it: six varints of one byte less than the parts need
)

// payload is what the format holds.
type payload struct {
	value    []byte
	created  int64
	duration int64 // in ticks
	tags     []string
}

// notHybridError is why bytes are not taken for an entry in the format.
type notHybridError string

func (e notHybridError) Error() string {
	return "it is not in the format of HybridCache: " + string(e)
}

// encodeHybrid returns a value in the format.
func encodeHybrid(key string, value []byte, tags []string, created, duration int64) []byte {
	size := hybridHeader + 4*binary.MaxVarintLen64 + binary.MaxVarintLen64 + len(key) + len(value) + len(hybridSentinel)
	for _, tag := range tags {
		size += binary.MaxVarintLen64 + len(tag)
	}
	b := append(make([]byte, 0, size), hybridSentinel...)
	b = binary.LittleEndian.AppendUint16(b, uint16(rand.Uint32())) //nolint:gosec // chance, not secrecy
	b = binary.LittleEndian.AppendUint64(b, uint64(created))       //nolint:gosec // no clock is before the year 1
	b = binary.AppendUvarint(b, 0)                                 // flags
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = binary.AppendUvarint(b, uint64(max(0, duration)))
	b = binary.AppendUvarint(b, uint64(len(tags)))
	for text := range slices.Values(append([]string{key}, tags...)) {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return append(append(b, value...), hybridSentinel...)
}

// decodeHybrid reads the format. The value is a part of data.
func decodeHybrid(key string, data []byte) (*payload, error) {
	if len(data) < hybridShortest {
		return nil, notHybridError("it is too short")
	}
	if string(data[:2]) != hybridSentinel {
		return nil, notHybridError("it begins otherwise")
	}
	if string(data[len(data)-2:]) != hybridSentinel {
		return nil, notHybridError("it ends otherwise")
	}
	p := &payload{created: int64(binary.LittleEndian.Uint64(data[4:hybridHeader]))} //nolint:gosec // checked below
	r := payloadReader{data[hybridHeader : len(data)-2]}
	flags, length, duration, tags := r.number(), r.number(), r.number(), r.number()
	switch {
	case p.created <= 0 || p.created > lastTick:
		return nil, notHybridError("its time of creation cannot be")
	case flags != 0:
		return nil, notHybridError("it has flags, which this version does not know")
	case string(r.text()) != key:
		return nil, notHybridError("it is another key's")
	case tags > MaximumTags:
		return nil, notHybridError("it has too many tags")
	}
	p.duration = int64(min(duration, lastTick))
	for range tags {
		tag := r.text()
		if tag == nil || !utf8.Valid(tag) {
			return nil, notHybridError("a tag is no text")
		}
		p.tags = append(p.tags, string(tag))
	}
	if r.rest == nil || length != uint64(len(r.rest)) {
		return nil, notHybridError("its length is another than it says")
	}
	p.value = r.rest
	return p, nil
}

// payloadReader takes a payload apart. Once something was not there, nothing is: rest is nil.
type payloadReader struct{ rest []byte }

func (r *payloadReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest = nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// text returns nil when there is none.
func (r *payloadReader) text() []byte {
	n := r.number()
	if r.rest == nil || n > uint64(len(r.rest)) {
		r.rest = nil
		return nil
	}
	text := r.rest[:n:n]
	r.rest = r.rest[n:]
	return text
}
