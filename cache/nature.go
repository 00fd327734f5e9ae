package cache

import (
	"hash/maphash"
	"sync/atomic"
)

// natures remembers of keys whether their entries have a sliding expiration. Reading
// one takes a script, which costs the server more than twice what HMGET does, so
// what is known to have none is read with HMGET; what nobody knows, with the
// script. When an entry has got a sliding expiration meanwhile, the script has to
// come after HMGET, in a second round trip: which therefore is the last one for that
// key, and those that share its bits.
type natures struct {
	seed    maphash.Seed
	plain   [natureBits / 64]atomic.Uint64 // had none
	sliding [natureBits / 64]atomic.Uint64 // had one once
}

// natureBits is a power of 2, and takes 16 KiB.
const natureBits = 1 << 16

// isPlain says whether the entry of a key is known to have no sliding expiration.
func (n *natures) isPlain(key string) bool {
	word, bit := n.of(key)
	return n.plain[word].Load()&bit != 0 && n.sliding[word].Load()&bit == 0
}

// saw is told what the entry of a key is like.
func (n *natures) saw(key string, sliding bool) {
	word, bit := n.of(key)
	seen := &n.plain[word]
	if sliding {
		seen = &n.sliding[word]
	}
	if seen.Load()&bit == 0 { // most often it is known
		seen.Or(bit)
	}
}

func (n *natures) of(key string) (word int, bit uint64) {
	h := maphash.String(n.seed, key) % natureBits
	return int(h / 64), 1 << (h % 64)
}
