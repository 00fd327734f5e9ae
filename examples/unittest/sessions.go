package main

import (
	"context"
	"errors"
	"time"

	"github.com/redisbinding/redisbinding"
)

// ErrNoSession says that a session was never started, has ended or has expired.
var ErrNoSession = errors.New("no such session")

// Sessions remembers who is logged in. It asks for the contract and not for
// the Redis binding, so that a test may also give it a binding of its own.
type Sessions struct {
	Binding redisbinding.OutputBinding
	TTL     time.Duration // how long a session lives
}

// Start remembers the user of a session.
func (s *Sessions) Start(ctx context.Context, id, user string) error {
	_, err := s.Binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation,
		Metadata:  map[string]string{"key": "session:" + id, "ttlInSeconds": s.TTL.String()},
		Data:      []byte(user),
	})
	return err
}

// User returns the user of a session, or ErrNoSession.
func (s *Sessions) User(ctx context.Context, id string) (string, error) {
	return s.get(ctx, id, "false")
}

// End forgets a session and returns its user, or ErrNoSession. Of several
// callers at once only one gets the user.
func (s *Sessions) End(ctx context.Context, id string) (string, error) {
	return s.get(ctx, id, "true")
}

func (s *Sessions) get(ctx context.Context, id, remove string) (string, error) {
	resp, err := s.Binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.GetOperation,
		Metadata:  map[string]string{"key": "session:" + id, "delete": remove},
	})
	if err != nil {
		return "", err
	}
	if resp.Data == nil {
		return "", ErrNoSession
	}
	return string(resp.Data), nil
}
