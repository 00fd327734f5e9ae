package redisbinding

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redisbinding/redisbinding/internal/redistest"
	"github.com/redisbinding/redisbinding/internal/secrettest"
)

// fillSecrets sets every field of type Secret.
func fillSecrets(m *Metadata, secret string) (filled []string) {
	v := reflect.ValueOf(m).Elem()
	for field := range v.Type().Fields() {
		if field.Type == reflect.TypeFor[Secret]() {
			v.FieldByIndex(field.Index).SetString(secret)
			filled = append(filled, field.Name)
		}
	}
	return filled
}

// A field that may hold a secret is a Secret, the ones that are to come as well.
func TestSecretFields(t *testing.T) {
	t.Parallel()
	var m Metadata
	filled := fillSecrets(&m, "x")
	may := regexp.MustCompile(`(?i)password|secret|token|credential|key|cert`)
	public := []string{"CACert", "AzureCertificateFile"} // what everybody may see, and a path
	for field := range reflect.TypeFor[Metadata]().Fields() {
		if may.MatchString(field.Name) {
			assert.Contains(t, append(public, filled...), field.Name)
		}
	}
	assert.Len(t, filled, 7)
}

// No exported type shows a secret that it holds, however it is printed. What requests
// and responses hold are data: they show it, and are in no error, log line or span.
func TestTypesShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = secrettest.Nasty
	fake := redistest.Start(t, "--requirepass", "another")
	metadata := mustParse(t, map[string]string{"redisHost": fake.Addr, "redisPassword": secret})
	fillSecrets(metadata, secret)
	_, mistakes := ParseMetadata(map[string]string{"redisHost": "redis://:" + url.PathEscape(secret) + "@h", "clientKey": secret,
		"azureClientSecret": secret, "sentinelPassword": secret, "redisPort": "x"})
	var metadataError *MetadataError
	require.ErrorAs(t, mistakes, &metadataError)
	binding := newBinding(t, map[string]string{"redisHost": fake.Addr, "redisPassword": secret}, WithLazyConnect())
	component := Component{Name: "c", Type: ComponentType, Metadata: map[string]string{"redisPassword": secret, "anything": secret}}
	_, unresolved := LoadComponents(strings.NewReader(`{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {name: c},
		spec: {type: bindings.redis, metadata: [{name: redisPassword, value: 'x', secretKeyRef: {name: a, key: b}}]}}`),
		func(string, string, string) (string, error) { return secret, nil })
	var componentError *ComponentError
	require.ErrorAs(t, unresolved, &componentError)
	_, refused := binding.Invoke(t.Context(), create("k", "v"))
	require.Error(t, refused)
	batch := &BatchError{Err: refused}
	store := SecretResolver(func(string, string, string) (string, error) { return secret, nil })

	secrettest.CheckTypes(t, ".", secret, map[string][]any{
		"RedisBinding":   {binding},
		"Metadata":       {metadata, *metadata, mistakes},
		"Secret":         {Secret(secret), new(Secret(secret))},
		"MetadataError":  {metadataError, *metadataError},
		"Component":      {component, &component},
		"ComponentError": {componentError, *componentError},
		"SecretResolver": {store},
		"Option":         {WithTokenCredential(credentialFunc(nil))},
		"HandlerOption":  {WithAPIToken(secret)},
		"BatchError":     {batch, *batch},
		"BatchErrors":    {BatchErrors{batch}},
		"RequestError":   {&RequestError{Field: TTLField, Reason: "no"}},
		"OperationKind":  {CreateOperation},
		"InvokeRequest":  nil, // data
		"InvokeResponse": nil, // data
		"OutputBinding":  {OutputBinding(binding)},
	})
}

// echoServer is a server that repeats what it gets, in the words of reply.
func echoServer(t *testing.T, reply func(args []string) string) string {
	t.Helper()
	fake, err := server.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(fake.Close)
	echo := func(c *server.Peer, command string, args []string) {
		c.WriteRaw(reply(append([]string{command}, args...)))
	}
	for _, command := range []string{"HELLO", "AUTH", "PING", "SENTINEL", "CLUSTER", "SET", "GET", "EVAL", "GETDEL", "INCR", "DEL"} {
		require.NoError(t, fake.Register(command, echo))
	}
	return fake.Addr().String()
}

// What servers repeat of a login, and what else can fail, shows the secret nowhere: in no
// error, log line, span or metric.
func TestSecretsOfFailures(t *testing.T) {
	var log lockedBuffer
	debug := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	LogRedisTo(debug)
	defer LogRedisTo(nil)
	spans := tracetest.NewSpanRecorder()
	reader := sdkmetric.NewManualReader()
	opts := []Option{WithLogger(debug), WithKeysInSpans(), WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
		WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))}

	line := func(format string, encode func(string) string) func([]string) string {
		return func(args []string) string { return fmt.Sprintf(format, encode(strings.Join(args, " "))) + "\r\n" }
	}
	asIs := func(s string) string { return s }
	servers := map[string]string{
		"in an error":     echoServer(t, line("-ERR refused: %s", asIs)),
		"at its front":    echoServer(t, func(args []string) string { return "-" + args[len(args)-1] + " is wrong\r\n" }),
		"in WRONGPASS":    echoServer(t, line("-WRONGPASS %s", asIs)),
		"quoted":          echoServer(t, line("-ERR %s", func(s string) string { return fmt.Sprintf("%q", s) })),
		"URL-encoded":     echoServer(t, line("-ERR %s", url.QueryEscape)),
		"unknown command": echoServer(t, line("-ERR unknown command 'x', with args beginning with: '%s'", asIs)),
		"as a status":     echoServer(t, line("+%s", asIs)),
		"as no RESP":      echoServer(t, line("%s", asIs)),
		"as a whole":      listen(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) }),
	}
	for _, secret := range []string{secrettest.Nasty, "hunter2-hunter2", `a,b="c\d" e`} {
		t.Run(secret, func(t *testing.T) { // goes on when all of its own have ended
			for how, addr := range servers {
				for kind, more := range map[string]map[string]string{
					"node":      {"redisPassword": secret},
					"user":      {"redisPassword": secret, "redisUsername": "app"},
					"sentinel":  {"sentinelPassword": secret, "failover": "true", "sentinelMasterName": "m"},
					"sentinels": {"sentinelPassword": secret, "redisPassword": secret, "failover": "true", "sentinelMasterName": "m"},
					"cluster":   {"redisPassword": secret, "redisType": "cluster"},
					"TLS":       {"redisPassword": secret, "enableTLS": "true"},
				} {
					t.Run(kind+" "+how, func(t *testing.T) {
						t.Parallel()
						more["redisHost"], more["dialTimeout"], more["readTimeout"] = addr, "300ms", "300ms"
						_, err := NewRedisBinding(more, opts...)
						require.Error(t, err)
						secrettest.Check(t, secret, err)
						binding := newBinding(t, more, append(opts, WithLazyConnect())...)
						_, err = binding.Invoke(t.Context(), create("k", "value"))
						_, batch := binding.InvokeBatch(t.Context(), []*InvokeRequest{request(GetOperation, "k")})
						secrettest.Check(t, secret, err, batch, binding.Ping(t.Context()), binding)
					})
				}
			}
		})
		for field := range map[string]bool{"redisPassword": true, "sentinelPassword": true, "clientCert": true, "clientKey": true,
			"azureClientSecret": true, "azureCertificate": true, "azureCertificatePassword": true} {
			for _, more := range []map[string]string{{}, {"enableTLS": "true"}, {"enableTLS": "true", "useEntraID": "true", "azureTenantID": "t", "azureClientID": "c"},
				{strings.ToUpper(field): secret + "2"}, {"poolSize": "x"}} {
				more["redisHost"], more[field] = "127.0.0.1:1", secret
				_, err := NewRedisBinding(more, opts...)
				require.Error(t, err)
				secrettest.Check(t, secret, err)
			}
		}
		_, err := NewRedisBinding(map[string]string{"redisHost": "redis://user:" + url.QueryEscape(secret) + "@localhost:1"}, opts...)
		secrettest.Check(t, secret, err)
	}

	collected := new(metricdata.ResourceMetrics)
	require.NoError(t, reader.Collect(t.Context(), collected))
	var told bytes.Buffer
	for _, span := range spans.Ended() {
		fmt.Fprintln(&told, span.Name(), span.Attributes(), span.Status(), span.Events())
	}
	fmt.Fprintf(&told, "%+v", collected.ScopeMetrics)
	require.NotEmpty(t, spans.Ended())
	for _, secret := range []string{secrettest.Nasty, "hunter2-hunter2", `a,b="c\d" e`} {
		secrettest.Shown(t, secret, log.String(), "the log")
		secrettest.Shown(t, secret, told.String(), "what is recorded")
	}
}

// go-redis logs error replies to a login, which may repeat it.
func TestLogRedisToShowsNoReply(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	logger := redisLogger{slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	logger.Printf(context.Background(), "redis: re-authentication failed: %v", fmt.Errorf("conn: %w", replyError("WRONGPASS hunter2 is no password")))
	logger.Printf(context.Background(), "redis: no reply: %v", errors.New("EOF"))
	assert.Contains(t, log.String(), "re-authentication failed: WRONGPASS\"")
	assert.Contains(t, log.String(), "no reply: EOF")
}

// replyError is a server's error reply.
type replyError string

func (r replyError) Error() string { return string(r) }
func (replyError) RedisError()     {}
