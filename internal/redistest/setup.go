package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
)

// Setup is one of the kinds of Redis a binding can be pointed at.
type Setup struct {
	Name      string            // "plain", "acl", "tls", "sentinel", "cluster", "entra" or "entra cluster"
	Metadata  map[string]string // the metadata fields that connect to it; the caller's own copy
	Servers   []*Server         // the data nodes; primaries first, as long as nothing fails over
	Sentinels []*Server         // empty but for "sentinel"
}

// Fields returns a copy of the metadata, changed by the overrides: a field's
// name and its value in turn, where an empty value removes the field.
func (s *Setup) Fields(overrides ...string) map[string]string {
	if len(overrides)%2 != 0 {
		panic("redistest: an override lacks its value")
	}
	fields := maps.Clone(s.Metadata)
	for i := 0; i < len(overrides); i += 2 {
		if name, value := overrides[i], overrides[i+1]; value == "" {
			delete(fields, name)
		} else {
			fields[name] = value
		}
	}
	return fields
}

// FlushAll empties every primary.
func (s *Setup) FlushAll(t testing.TB) {
	t.Helper()
	for _, server := range s.Servers {
		if role, _ := server.Do(t, "ROLE").([]any); len(role) > 0 && role[0] == "master" {
			server.Do(t, "FLUSHALL")
		}
	}
}

// Pause pauses all data nodes, as [Server.Pause] does.
func (s *Setup) Pause() {
	for _, server := range s.Servers {
		server.Pause()
	}
}

// Resume lets paused data nodes go on.
func (s *Setup) Resume() {
	for _, server := range s.Servers {
		server.Resume()
	}
}

// startFunc adds servers that keep their files below dir, and the metadata
// that connects to them, to an empty set-up.
type startFunc func(s *Setup, dir string) error

// newSetup starts a set-up. When that fails nothing of it is left running.
func newSetup(name, dir string, start startFunc) (*Setup, error) {
	s := &Setup{Name: name}
	if err := start(s, dir); err != nil {
		err = fmt.Errorf("starting the set-up %s: %w\n%s", name, err, s.logTails())
		s.stop()
		return nil, err
	}
	return s, nil
}

// startSetup starts a set-up for this test only and stops it at its end.
func startSetup(t testing.TB, name string, start startFunc) *Setup {
	t.Helper()
	requirePrograms(t)

	s, err := newSetup(name, t.TempDir(), start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logTails())
		}
		s.stop()
	})
	return s
}

// addServer starts a data node.
func (s *Setup) addServer(dir string, o options) (*Server, error) {
	server, err := startServer(dir, o)
	if err == nil {
		s.Servers = append(s.Servers, server)
	}
	return server, err
}

func (s *Setup) all() []*Server {
	return append(append([]*Server(nil), s.Servers...), s.Sentinels...)
}

func (s *Setup) logTails() string {
	var text string
	for _, server := range s.all() {
		text += server.logTail() + "\n"
	}
	return text
}

func (s *Setup) stop() {
	for _, server := range s.all() {
		server.stop()
	}
}

// waitForReplica waits until the server is a replica in step with its primary.
func waitForReplica(server *Server) error {
	return poll(func() error {
		role, err := server.Client().Do(context.Background(), "ROLE").Slice()
		if err == nil && (len(role) < 4 || role[0] != "slave" || role[3] != "connected") {
			err = errors.New("the replica is not connected to its primary")
		}
		return err
	})
}
