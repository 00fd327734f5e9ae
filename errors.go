package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/tlsfault"
)

// What a request or its moment can have wrong with it, for errors.Is.
var (
	// ErrMissingKey says that the request metadata has no "key", or an empty one.
	ErrMissingKey = errors.New(`redisbinding: request metadata "key" is missing or empty`)

	// ErrUnsupportedOperation says that the request asks for an operation that
	// [RedisBinding.Operations] does not list. The error names the operation
	// asked for and the ones there are.
	ErrUnsupportedOperation = errors.New("redisbinding: unsupported operation")

	// ErrNoToken says that the binding has no living token of Microsoft Entra ID.
	// The error says why, names the expiry of the last one, and wraps what the
	// credential has answered (of azidentity, often an
	// *azidentity.AuthenticationFailedError) unless that would show a secret.
	// It goes away by itself with the first token.
	ErrNoToken = errors.New("redisbinding: no living Entra ID token")

	// ErrUnavailable says that Redis cannot be reached, or takes no commands now:
	// connecting failed or a connection was lost, readTimeout or poolTimeout passed,
	// there is no living token, or the reply was LOADING, READONLY, CLUSTERDOWN,
	// TRYAGAIN, MASTERDOWN, NOREPLICAS or too many clients. The operation may work
	// later. [ErrNotExecuted] says whether it may have been executed.
	ErrUnavailable = errors.New("redisbinding: Redis is unavailable")

	// ErrNotExecuted says of an [ErrUnavailable] that the operation was certainly not
	// executed, and not by an earlier attempt either: it was not sent, or the server
	// refused it. Any operation may be sent again then, an increment too. An
	// ErrUnavailable without it may have been executed. [SafeToRetry] answers the
	// same question for every error.
	ErrNotExecuted = errors.New("redisbinding: the operation was not executed")

	// ErrClosed says that the binding has been closed (or was never made with
	// [NewRedisBinding]). An error that is ErrClosed itself was not sent. A call that
	// Close interrupted after it was sent returns an error that wraps ErrClosed, and
	// may have been executed: [SafeToRetry] tells the two apart.
	ErrClosed = errors.New("redisbinding: the binding is closed")
)

// MetadataError says what is wrong with one field of the metadata.
// [ParseMetadata] reports every bad field at once, joined with errors.Join;
// errors.As finds the first.
type MetadataError struct {
	// Field is the name of the field, spelled as in the field table.
	Field string
	// Reason says what the field takes and what it got; it never holds the
	// value of a field that may be secret.
	Reason string
}

// Error names the field and says what is wrong with it.
func (e *MetadataError) Error() string {
	return "redisbinding: metadata field " + e.Field + ": " + e.Reason
}

// RequestError says what is wrong with a request: the caller's mistake,
// found before anything was sent to Redis.
type RequestError struct {
	// Field is the name of the request metadata field; empty when it is the
	// request itself that is wrong.
	Field string
	// Reason says what the field takes and what it got.
	Reason string
}

// Error names the field and says what is wrong with it.
func (e *RequestError) Error() string {
	if e.Field == "" {
		return "redisbinding: the request " + e.Reason
	}
	return "redisbinding: request metadata " + e.Field + ": " + e.Reason
}

// isTransport says whether err is about the connection to Redis: not a reply,
// not the caller's context, not the caller's mistake, not the token.
func isTransport(err error) bool {
	var reply redis.Error
	return !errors.As(err, &reply) && !errors.Is(err, ErrNoToken) && !errors.Is(err, redis.ErrPoolTimeout) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
		!errors.Is(err, ErrClosed)
}

// isUnavailable says whether err is one that [ErrUnavailable] stands for.
func isUnavailable(err error) bool {
	return isTransport(err) || refusedForNow(err) || errors.Is(err, ErrNoToken) || errors.Is(err, redis.ErrPoolTimeout)
}

// tokenExpiredError is an error of a connection whose token had expired, which may be
// the cause.
type tokenExpiredError struct {
	error
	expired error
}

func (e tokenExpiredError) Error() string { return e.error.Error() + ": " + e.expired.Error() }

func (e tokenExpiredError) Unwrap() []error { return []error{e.error, e.expired} }

// maybeExecutedError is the error of the last attempt of a command that an earlier
// attempt may have executed.
type maybeExecutedError struct{ error }

func (e maybeExecutedError) Error() string {
	return e.error.Error() + " (an earlier attempt may have been executed)"
}

func (e maybeExecutedError) Unwrap() error { return e.error }

// isTimeout says whether err is a network time-out.
func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// advice returns what to check when err comes back, or "" when nothing is
// known about it. At the start a lost connection is more likely a wrong setting
// than an outage.
func (m *Metadata) advice(err error, starting bool) string {
	var (
		reply   redis.Error
		op      *net.OpError
		tooLate *dialTimeoutError
	)
	switch {
	case errors.Is(err, ErrNoToken) && errors.As(err, &tooLate):
		return "raise dialTimeout if it takes longer"
	case errors.Is(err, ErrNoToken):
		return "" // it says what Entra ID says
	case tlsfault.Of(err) != tlsfault.None:
		return m.adviceOnTLS(tlsfault.Of(err))
	case starting && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &tooLate)):
		return "check redisHost, and whether the server speaks TLS there"
	case m.Failover && errors.Is(err, redis.Nil):
		return "check sentinelMasterName"
	case errors.Is(err, redis.ErrPoolTimeout):
		return "all connections were busy for poolTimeout: raise poolSize or poolTimeout"
	case errors.As(err, &reply):
		return m.adviceOnReply(reply.Error())
	case errors.As(err, &op) && op.Op == "dial":
		return "" // nobody there: no setting to blame
	case starting && isTransport(err) && !m.EnableTLS:
		return "if the server expects TLS, set enableTLS to true"
	case starting && isTransport(err) && m.ClientCert == "":
		return "if the server wants a client certificate, set clientCert and clientKey"
	case starting && isTransport(err): // TLS 1.3 refuses a certificate after the handshake, and the reason may get lost
		return "if the server refuses the client certificate, check clientCert and clientKey"
	}
	return ""
}

// adviceOnTLS is advice for what is wrong with a TLS connection.
func (m *Metadata) adviceOnTLS(fault tlsfault.Fault) string {
	switch fault {
	case tlsfault.None:
	case tlsfault.UnknownCA:
		return "set caCert to the CA that signed the server's certificate"
	case tlsfault.OtherName:
		return "set serverName to a name in the server's certificate"
	case tlsfault.OtherTime:
		return "the server needs a new certificate, unless the clock here is wrong"
	case tlsfault.OtherUse:
		return "the server needs a certificate for servers, with the extended key usage serverAuth"
	case tlsfault.Certificate:
		return "check the server's certificate, and caCert"
	case tlsfault.NotTLS:
		return "the server does not speak TLS: use its TLS port or, where it has none, set enableTLS to false"
	case tlsfault.OldVersion:
		return "the server has to speak TLS 1.2 or later"
	case tlsfault.Downgrade:
		return "check what stands between here and the server: it has changed the TLS handshake"
	case tlsfault.NoClientCert:
		return "the server wants a client certificate: set clientCert and clientKey"
	case tlsfault.Refused:
		return "the server refused the TLS connection: check clientCert and clientKey"
	}
	return ""
}

// adviceOnReply is advice for an error the server replied with.
func (m *Metadata) adviceOnReply(text string) string {
	text = strings.TrimPrefix(text, "ERR ")
	switch {
	case strings.HasPrefix(text, "NOAUTH"):
		return "set redisPassword, and redisUsername for an ACL user"
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "invalid password"),
		strings.HasPrefix(text, "invalid username-password"):
		if m.UseEntraID {
			return "give the identity access to the cache, by its object ID, or set azureObjectID to the user it is there"
		}
		if m.Failover {
			return "check redisUsername and redisPassword, and for the sentinels sentinelUsername and sentinelPassword"
		}
		return "check redisUsername and redisPassword; for Microsoft Entra ID set useEntraID"
	case strings.HasPrefix(text, "AUTH <password> called without any password"),
		strings.HasPrefix(text, "Client sent AUTH, but no password is set"):
		return "the server has no password: leave redisPassword empty"
	case strings.HasPrefix(text, "MOVED"), strings.HasPrefix(text, "CROSSSLOT"):
		if m.RedisType != TypeCluster {
			return "the server is a cluster node: set redisType to cluster"
		}
	case strings.HasPrefix(text, "This instance has cluster support disabled"):
		return "the server is not a cluster node: set redisType to node"
	case strings.HasPrefix(text, "unknown command"):
		if m.RedisType == TypeCluster && !m.Failover {
			return "does redisHost name Redis Cluster nodes?"
		}
		return "is the server a sentinel? Then set failover to true and sentinelMasterName"
	case strings.HasPrefix(text, "NOPERM"):
		return "allow the ACL user what the package documentation lists for this"
	case strings.Contains(text, "ACL failure in script"), // which names the command since Redis 7.2 only
		strings.Contains(text, "The user executing the script can't run this command"):
		return "allow the ACL user what the scripts run: SET, INCR and GET for an increment, GET and DEL for a get"
	case strings.HasPrefix(text, "DENIED"):
		return "the server runs in protected mode: give it a password or let it listen for this host"
	case strings.HasPrefix(text, "max number of clients"):
		return "the server's maxclients is reached: lower poolSize or raise it there"
	}
	return ""
}

// explainStart completes err, which kept NewRedisBinding from connecting.
func (m *Metadata) explainStart(err error) error {
	failed := failureOf(err)
	late := errors.Is(err, context.DeadlineExceeded) // dialTimeout is the only deadline there
	failed = m.complete("redisbinding: connect to "+strings.Join(m.addrs, ",")+": ", failed, m.advice(failed.error, true))
	failed.unavailable = failed.unavailable || late
	return failed
}

// explain completes err for the caller: what was being done, with which
// servers when the connection is at fault, and what to check.
func (m *Metadata) explain(doing string, err error) error {
	var request *RequestError
	if errors.Is(err, ErrMissingKey) || errors.Is(err, ErrUnsupportedOperation) || errors.As(err, &request) {
		return err
	}
	failed := failureOf(err)
	if errors.Is(err, ErrClosed) && failed.outcome != unknown {
		return ErrClosed
	}
	text := "redisbinding: " + doing + ": "
	if isTransport(failed.error) {
		text += strings.Join(m.addrs, ",") + ": "
	}
	return m.complete(text, failed, m.advice(failed.error, false))
}

// failureOf returns the failure that err is. Other errors come from before anything
// was sent.
func failureOf(err error) *failure {
	var failed *failure
	if errors.As(err, &failed) {
		return failed
	}
	return &failure{error: reveal(err), outcome: notSent}
}

// complete adds to the error what was being done and what to check, and takes out the
// secrets that a server knows, and may repeat.
func (m *Metadata) complete(text string, failed *failure, advice string) *failure {
	if advice != "" {
		advice = " (" + advice + ")"
	}
	err := redact.Hide(redact.Error(failed.error), string(m.RedisPassword), string(m.SentinelPassword))
	return &failure{
		error:       fmt.Errorf("%s%w%s", text, err, advice),
		outcome:     failed.outcome,
		unavailable: isUnavailable(failed.error),
	}
}
