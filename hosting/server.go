package hosting

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	redisImage = "docker.io/library/redis"
	redisTag   = "8.6"
	redisPort  = 6379 // of a server that is alone in its container

	loopback = "127.0.0.1"
)

// server is a redis-server for a runtime to start, or a sentinel.
type server struct {
	name     string // unique in the app; a server of a cluster has a number behind it
	image    string // with its tag
	port     int    // on the host; 0: any that is free
	password string // "": none
	tls      *certificates
	save     *persistence // nil: nothing is saved
	mount    *mount       // where its data is; nil: goes with the server
	sentinel bool
	// persistent says that it outlives the app, to be found again by it. The next
	// start takes it over when the configuration is the same, and replaces it when not.
	persistent bool
	// directives are lines of the configuration beside those that the fields make, word
	// by word.
	directives [][]string
}

// persistence is how often to save: after interval, when at least keys have changed.
type persistence struct {
	interval time.Duration
	keys     int
}

// mount is a folder for data: a volume, or a folder of the host.
type mount struct {
	volume   string // its name, or ""
	folder   string // absolute, or ""
	readOnly bool
	optional bool // where the runtime has none, it goes without
}

// place is where a server finds itself, which is the runtime's to say.
type place struct {
	bind   string // the address to listen on
	port   int
	folder string // of its data
	// of files with certificates; "" without TLS
	ca, cert, key string
}

// config is the text of redis.conf.
func (s *server) config(at place) string {
	lines := [][]string{
		{"bind", at.bind},
		// Without a password Redis would serve only callers on its own loopback
		// interface, of which a container has one to itself. Only ports on the host's
		// are published.
		{"protected-mode", "no"},
		{"daemonize", "no"},
		{"dir", at.folder},
	}
	port := strconv.Itoa(at.port)
	if s.tls == nil {
		lines = append(lines, []string{"port", port})
	} else {
		lines = append(lines,
			[]string{"port", "0"},
			[]string{"tls-port", port},
			[]string{"tls-ca-cert-file", at.ca},
			[]string{"tls-cert-file", at.cert},
			[]string{"tls-key-file", at.key},
			[]string{"tls-auth-clients", "no"},
			[]string{"tls-replication", "yes"},
		)
	}
	if s.password != "" {
		lines = append(lines, []string{"requirepass", s.password})
	}
	if !s.sentinel {
		lines = append(lines, s.saveLine())
		if s.password != "" {
			lines = append(lines, []string{"masterauth", s.password})
		}
	}
	lines = append(lines, s.directives...)

	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line[0])
		for _, word := range line[1:] {
			text.WriteByte(' ')
			text.WriteString(quotedWord(word))
		}
		text.WriteByte('\n')
	}
	return text.String()
}

func (s *server) saveLine() []string {
	if s.save == nil {
		return []string{"save", ""}
	}
	return []string{"save", strconv.Itoa(int(s.save.interval / time.Second)), strconv.Itoa(s.save.keys)}
}

// quotedWord is a word as redis.conf has it: what could be misread is written as \xHH.
func quotedWord(word string) string {
	var text strings.Builder
	text.WriteByte('"')
	for i := range len(word) {
		switch c := word[i]; {
		case c == '"' || c == '\\':
			text.WriteByte('\\')
			text.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&text, `\x%02x`, c)
		default:
			text.WriteByte(c)
		}
	}
	text.WriteByte('"')
	return text.String()
}
