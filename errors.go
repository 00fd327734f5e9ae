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
	// there is no living token, or the reply was one of LOADING, READONLY,
	// CLUSTERDOWN, TRYAGAIN, MASTERDOWN, NOREPLICAS and too many clients. It may
	// work later. Whether the operation may have been carried out, [ErrNotCarriedOut]
	// says.
	ErrUnavailable = errors.New("redisbinding: Redis is unavailable")

	// ErrNotCarriedOut says of an [ErrUnavailable] that the operation was certainly
	// not carried out, not by an attempt before the last one either: connecting
	// failed, all connections were busy for poolTimeout, there is no living token,
	// or the reply was one of those above. Any operation may be sent again then, an
	// increment too. Without it nobody knows.
	ErrNotCarriedOut = errors.New("redisbinding: the operation was not carried out")

	// ErrClosed says that the binding has been closed (or was never made with
	// [NewRedisBinding]).
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

// isNotCarriedOut says whether err is one that [ErrNotCarriedOut] stands for.
func isNotCarriedOut(err error) bool {
	var (
		unsure unsureError
		blamed blamedError
		reply  redis.Error
	)
	if errors.As(err, &unsure) {
		return false
	}
	if errors.As(err, &blamed) {
		return errors.As(blamed.error, &reply) || isNotCarriedOut(blamed.error)
	}
	return notSent(err) || refusedForNow(err) || errors.Is(err, ErrNoToken) || errors.Is(err, redis.ErrPoolTimeout)
}

// isUnknown says whether after err nobody knows if the command was carried out.
func isUnknown(err error) bool {
	var blamed blamedError
	if errors.As(err, &blamed) {
		err = blamed.error
	}
	return isTransport(err) && !isNotCarriedOut(err)
}

// blamedError is an error of a connection whose token had expired, which may be why.
// What has become of the command, the former says: this is no [ErrNoToken] before
// anything was sent.
type blamedError struct {
	error
	expired error
}

func (e blamedError) Error() string { return e.error.Error() + ": " + e.expired.Error() }

func (e blamedError) Unwrap() []error { return []error{e.error, e.expired} }

// unavailableError makes the error it holds an [ErrUnavailable] as well.
type unavailableError struct {
	error
	notCarriedOut bool
}

func (e unavailableError) Is(target error) bool {
	return target == ErrUnavailable || e.notCarriedOut && target == ErrNotCarriedOut
}

func (e unavailableError) Unwrap() error { return e.error }

// unsureError is how the last attempt has failed of a command that an earlier one
// may have carried out.
type unsureError struct{ error }

func (e unsureError) Error() string {
	return e.error.Error() + " (an attempt before may have been carried out)"
}

func (e unsureError) Unwrap() error { return e.error }

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
	err = reveal(err)
	late := errors.Is(err, context.DeadlineExceeded) // dialTimeout is the only deadline there
	err = m.complete("redisbinding: connect to "+strings.Join(m.addrs, ",")+": ", err, m.advice(err, true))
	if late {
		return unavailableError{error: err}
	}
	return err
}

// explain completes err for the caller: what was being done, with which
// servers when the connection is at fault, and what to check.
func (m *Metadata) explain(doing string, err error) error {
	var request *RequestError
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrMissingKey) ||
		errors.Is(err, ErrUnsupportedOperation) || errors.As(err, &request) {
		return err
	}
	err = reveal(err)
	text := "redisbinding: " + doing + ": "
	if isTransport(err) {
		text += strings.Join(m.addrs, ",") + ": "
	}
	return m.complete(text, err, m.advice(err, false))
}

// complete adds to err what was being done and what to check, and takes out the
// secrets that a server knows, and may repeat.
func (m *Metadata) complete(text string, err error, advice string) error {
	unavailable, notCarriedOut := isUnavailable(err), isNotCarriedOut(err)
	if advice != "" {
		advice = " (" + advice + ")"
	}
	err = redact.Hide(redact.Error(err), string(m.RedisPassword), string(m.SentinelPassword))
	err = fmt.Errorf("%s%w%s", text, err, advice)
	if unavailable {
		return unavailableError{err, notCarriedOut}
	}
	return err
}
