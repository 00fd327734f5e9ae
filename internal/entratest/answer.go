package entratest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxBody bounds a request's body; assertions are a few kilobytes.
const maxBody = 64 << 10

// answer is the answer to a request, its body to be sent as JSON.
type answer struct {
	status int
	body   any
}

func (a answer) send(w http.ResponseWriter) {
	body, err := json.Marshal(a.body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // The client may have gone away.
}

// refuse returns the error of Entra with the AADSTS code.
func refuse(status, code int, kind, format string, args ...any) answer {
	return answer{status, map[string]any{
		"error":             kind,
		"error_description": fmt.Sprintf("AADSTS%d: %s", code, fmt.Sprintf(format, args...)),
		"error_codes":       []int{code},
	}}
}

func unavailable() answer {
	return refuse(http.StatusServiceUnavailable, 90033, "temporarily_unavailable",
		"A transient error has occurred. Please try again.")
}

// failure is the answer when a token could not be made or Config.Issue failed.
func failure(err error) answer {
	return refuse(http.StatusInternalServerError, 50000, "server_error", "%s", err)
}

// otherRequest serves what is not a request for a token.
func (a *Authority) otherRequest(serve func(*http.Request) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.isDown() {
			unavailable().send(w)
			return
		}
		serve(r).send(w)
	}
}

// tokenRequest serves a request for a token, which may have to hang.
func (a *Authority) tokenRequest(serve func(*http.Request) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// A server notices that the client has gone away only when the body was
		// read to its end.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if !a.hang(r.Context()) {
			return
		}
		switch {
		case a.isDown():
			unavailable().send(w)
		case err != nil:
			refuse(http.StatusBadRequest, 90023, "invalid_request", "The request could not be read.").send(w)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			serve(r).send(w)
		}
	}
}

func notFound(*http.Request) answer {
	return refuse(http.StatusNotFound, 90023, "invalid_request", "There is nothing at this path, or not for this method.")
}
