package redisbinding_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/bindingtest"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// The binding keeps the contract on every kind of Redis, and so it does through HTTP.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, setup := range redistest.Setups(t) {
		newBinding := func(t *testing.T) redisbinding.OutputBinding {
			binding, err := redisbinding.NewRedisBinding(setup.Fields())
			require.NoError(t, err)
			return binding
		}
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			bindingtest.Conformance(t, newBinding)
		})
		if setup.Name == "plain" {
			t.Run("HTTP", func(t *testing.T) {
				t.Parallel()
				bindingtest.Conformance(t, func(t *testing.T) redisbinding.OutputBinding { return newHTTPBinding(newBinding(t)) })
			})
		}
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		bindingtest.Conformance(t, func(t *testing.T) redisbinding.OutputBinding { return bindingtest.New(t) })
	})
}

// httpBinding is a binding as a client of its Handler sees it.
type httpBinding struct {
	binding redisbinding.OutputBinding // behind the handler
	server  *httptest.Server
	client  *http.Client
}

func newHTTPBinding(binding redisbinding.OutputBinding) *httpBinding {
	server := httptest.NewServer(redisbinding.Handler(map[string]redisbinding.OutputBinding{"store": binding}))
	return &httpBinding{binding, server, server.Client()}
}

func (b *httpBinding) Invoke(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	if req == nil {
		return nil, errors.New("no request, no document")
	}
	document, err := req.MarshalJSON()
	if err != nil {
		return nil, err
	}
	status, data, err := b.do(ctx, http.MethodPost, "/v1.0/bindings/store", document)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNoContent:
		return &redisbinding.InvokeResponse{}, nil
	case status == http.StatusOK:
		return &redisbinding.InvokeResponse{Data: data}, nil
	}
	return nil, fmt.Errorf("%d: %s", status, data)
}

func (b *httpBinding) Ping(ctx context.Context) error {
	status, data, err := b.do(ctx, http.MethodGet, "/v1.0/healthz", nil)
	if err == nil && status != http.StatusNoContent {
		err = fmt.Errorf("%d: %s", status, data)
	}
	return err
}

func (b *httpBinding) Operations() []redisbinding.OperationKind {
	var metadata struct {
		Components []struct{ Capabilities []redisbinding.OperationKind }
	}
	_, data, err := b.do(context.Background(), http.MethodGet, "/v1.0/metadata", nil)
	if err != nil || json.Unmarshal(data, &metadata) != nil {
		return nil
	}
	return metadata.Components[0].Capabilities
}

func (b *httpBinding) Close() error {
	b.server.Close() // waits for requests under way
	return b.binding.Close()
}

// do sends a request and reads the whole answer.
func (b *httpBinding) do(ctx context.Context, method, path string, body []byte) (status int, data []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, b.server.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	return resp.StatusCode, data, err
}
