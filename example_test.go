package redisbinding_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redisbinding/redisbinding"
)

// exampleBinding returns a binding to an embedded Redis, for the examples that are
// about something else.
func exampleBinding() (*redisbinding.RedisBinding, *miniredis.Miniredis) {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": server.Addr()})
	if err != nil {
		log.Fatal(err)
	}
	return binding, server
}

func ExampleNewRedisBinding() {
	server, err := miniredis.Run() // an embedded Redis; yours is at a host and port
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	binding, err := redisbinding.NewRedisBinding(map[string]string{
		"redisHost":   server.Addr(),
		"readTimeout": "2s",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer binding.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation,
		Metadata:  map[string]string{"key": "greeting"},
		Data:      []byte(`{"hello":"world"}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	resp, err := binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.GetOperation,
		Metadata:  map[string]string{"key": "greeting"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(resp.Data))
	// Output: {"hello":"world"}
}

func ExampleRedisBinding_Invoke_increment() {
	binding, server := exampleBinding()
	defer server.Close()
	defer binding.Close()

	for range 3 {
		resp, err := binding.Invoke(context.Background(), &redisbinding.InvokeRequest{
			Operation: redisbinding.IncrementOperation,
			Metadata:  map[string]string{"key": "visits"},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(resp.Data))
	}
	// Output:
	// 1
	// 2
	// 3
}

// A get with delete=true reads and removes in one step: of several callers only
// one gets the value. A missing key answers nil.
func ExampleRedisBinding_Invoke_getAndDelete() {
	binding, server := exampleBinding()
	defer server.Close()
	defer binding.Close()
	_ = server.Set("ticket", "seat 12")

	for range 2 {
		resp, err := binding.Invoke(context.Background(), &redisbinding.InvokeRequest{
			Operation: redisbinding.GetOperation,
			Metadata:  map[string]string{"key": "ticket", "delete": "true"},
		})
		switch {
		case err != nil:
			fmt.Println(err)
		case resp.Data == nil:
			fmt.Println("no such key")
		default:
			fmt.Println(string(resp.Data))
		}
	}
	// Output:
	// seat 12
	// no such key
}

func ExampleRedisBinding_Invoke_ttl() {
	binding, server := exampleBinding()
	defer server.Close()
	defer binding.Close()

	_, err := binding.Invoke(context.Background(), &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation,
		Metadata:  map[string]string{"key": "session", "ttlInSeconds": "90"}, // or "1m30s"
		Data:      []byte("ada"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("lives for", server.TTL("session"))

	server.FastForward(90 * time.Second)
	fmt.Println("still there:", server.Exists("session"))
	// Output:
	// lives for 1m30s
	// still there: false
}

// The documents of binding runtimes are the JSON form of requests and responses, and
// data keeps its bytes.
func ExampleInvokeRequest_UnmarshalJSON() {
	var req redisbinding.InvokeRequest
	err := json.Unmarshal([]byte(`{"operation":"create","metadata":{"key":"k"},"data":{"n":9007199254740993, "a":"<b>"}}`), &req)
	fmt.Println(err)
	fmt.Println(req.Operation, req.Metadata["key"])
	fmt.Println(string(req.Data))
	// Output:
	// <nil>
	// create k
	// {"n":9007199254740993, "a":"<b>"}
}

// What is no JSON goes as base64.
func ExampleInvokeResponse_MarshalJSON() {
	for _, data := range []string{`{"hello":"world"}`, "hello"} {
		document, err := json.Marshal(redisbinding.InvokeResponse{Data: []byte(data)})
		fmt.Println(string(document), err)
	}
	// Output:
	// {"data":{"hello":"world"}} <nil>
	// {"data":"aGVsbG8=","metadata":{"contentEncoding":"base64"}} <nil>
}

func ExampleHandler() {
	binding, redis := exampleBinding()
	defer redis.Close()
	defer binding.Close()

	server := httptest.NewServer(redisbinding.Handler(map[string]redisbinding.OutputBinding{"store": binding}))
	defer server.Close()

	for _, document := range []string{
		`{"operation":"create","metadata":{"key":"k"},"data":{"hello":"world"}}`,
		`{"operation":"get","metadata":{"key":"k"}}`,
		`{"operation":"get","metadata":{"key":"missing"}}`,
		`{"operation":"get"}`,
	} {
		resp, err := http.Post(server.URL+"/v1.0/bindings/store", "application/json", strings.NewReader(document))
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(strings.TrimSpace(resp.Status + " " + string(body)))
	}
	// Output:
	// 204 No Content
	// 200 OK {"hello":"world"}
	// 204 No Content
	// 400 Bad Request {"errorCode":"ERR_INVOKE_OUTPUT_BINDING","message":"error invoking output binding store: redisbinding: request metadata \"key\" is missing or empty"}
}

func ExampleRedisBinding_Ping() {
	binding, server := exampleBinding()
	defer server.Close()
	defer binding.Close()
	ctx := context.Background()

	fmt.Println("reachable:", binding.Ping(ctx) == nil)
	server.Close()
	fmt.Println("reachable:", binding.Ping(ctx) == nil)
	// Output:
	// reachable: true
	// reachable: false
}

func ExampleRedisBinding_Operations() {
	binding, server := exampleBinding()
	defer server.Close()
	defer binding.Close()

	fmt.Println(binding.Operations())
	// Output: [create get delete increment]
}

func ExampleRedisBinding_Close() {
	binding, server := exampleBinding()
	defer server.Close()

	fmt.Println(binding.Close())
	fmt.Println(binding.Close()) // more than once is fine

	err := binding.Ping(context.Background())
	fmt.Println(errors.Is(err, redisbinding.ErrClosed))
	// Output:
	// <nil>
	// <nil>
	// true
}

// Every bad field is reported at once.
func ExampleParseMetadata() {
	_, err := redisbinding.ParseMetadata(map[string]string{
		"redisHost":   "redis://localhost",
		"redisDB":     "first",
		"enableTLS":   "perhaps",
		"readTimeout": "-5s",
	})
	fmt.Println(err)
	// Output:
	// redisbinding: metadata field redisHost: takes host or host:port, not a URL: put user and password into redisUsername and redisPassword, and set enableTLS for rediss
	// redisbinding: metadata field enableTLS: takes true or false (or 1/0, yes/no, on/off, y/n, t/f), got "perhaps"
	// redisbinding: metadata field redisDB: takes a whole number of 0 or more, got "first"
	// redisbinding: metadata field readTimeout: takes a duration of at least 1ms such as "3s", or "-1" for none, got "-5s"
}

// The options make a go-redis client for what the binding has no operation for.
func ExampleMetadata_UniversalOptions() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	metadata, err := redisbinding.ParseMetadata(map[string]string{
		"redisHost":   server.Addr(),
		"readTimeout": "500ms",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	options := metadata.UniversalOptions()
	fmt.Println("read timeout", options.ReadTimeout)

	client := redis.NewUniversalClient(options)
	defer client.Close()
	fmt.Println(client.LPush(context.Background(), "jobs", "a", "b").Result())
	// Output:
	// read timeout 500ms
	// 2 <nil>
}

func ExampleMetadataError() {
	_, err := redisbinding.NewRedisBinding(map[string]string{
		"redisHost": "localhost:6379",
		"poolSize":  "many",
	})

	var bad *redisbinding.MetadataError
	if errors.As(err, &bad) {
		fmt.Println("field: ", bad.Field)
		fmt.Println("reason:", bad.Reason)
	}
	// Output:
	// field:  poolSize
	// reason: takes a number of connections from 1 to 65535 (one host has no more ports), got "many"
}

func ExampleWithStrictMetadata() {
	_, err := redisbinding.NewRedisBinding(map[string]string{
		"redisHost":    "localhost:6379",
		"redisPasword": "secret",
	}, redisbinding.WithStrictMetadata())
	fmt.Println(err)
	// Output:
	// redisbinding: metadata field redisPasword: is not known: did you mean redisPassword?
}

// With WithLazyConnect a program starts while Redis is away, and works as soon
// as it is there.
func ExampleWithLazyConnect() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	addr := server.Addr()
	server.Close() // Redis is away

	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": addr},
		redisbinding.WithLazyConnect())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer binding.Close()
	ctx := context.Background()
	fmt.Println("reachable:", binding.Ping(ctx) == nil)

	if err := server.Restart(); err != nil { // at the same address
		fmt.Println(err)
		return
	}
	fmt.Println("reachable:", binding.Ping(ctx) == nil)
	// Output:
	// reachable: false
	// reachable: true
}

// A misspelt field is logged, with the field it may have been meant for.
func ExampleWithLogger() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // the time differs from run to run
			}
			return a
		},
	}))
	binding, err := redisbinding.NewRedisBinding(map[string]string{
		"redisHost":   server.Addr(),
		"readTimeuot": "2s",
	}, redisbinding.WithLogger(logger))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer binding.Close()
	// Output:
	// level=WARN msg="redisbinding: unknown metadata field" field=readTimeuot nearest=readTimeout
}

// Tokens of any credential of azidentity, or of one's own. The examples show
// more: go run ./examples/entraid.
func ExampleWithTokenCredential() {
	credential, err := azidentity.NewAzureCLICredential(nil)
	if err != nil {
		log.Fatal(err)
	}
	binding, err := redisbinding.NewRedisBinding(map[string]string{
		"redisHost":  "example.westeurope.redis.azure.net:10000",
		"enableTLS":  "true",
		"useEntraID": "true",
	}, redisbinding.WithTokenCredential(credential), redisbinding.WithLazyConnect())
	if err != nil {
		log.Fatal(err)
	}
	defer binding.Close()

	fmt.Println(binding)
	// Output: Redis binding to example.westeurope.redis.azure.net:10000
}

func ExampleRedisBinding_InvokeBatch() {
	binding, server := exampleBinding()
	defer server.Close()
	defer binding.Close()

	var load []*redisbinding.InvokeRequest
	for i := range 1000 {
		load = append(load, &redisbinding.InvokeRequest{
			Operation: redisbinding.CreateOperation,
			Metadata:  map[string]string{"key": fmt.Sprint("user:", i)},
			Data:      []byte(fmt.Sprint("name ", i)),
		})
	}
	if _, err := binding.InvokeBatch(context.Background(), load); err != nil {
		fmt.Println(err)
		return
	}

	responses, err := binding.InvokeBatch(context.Background(), []*redisbinding.InvokeRequest{
		{Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": "user:7"}},
		{Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": "user:8"}},
		{Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": "user:999"}},
	})
	var failed redisbinding.BatchErrors
	if errors.As(err, &failed) {
		for _, e := range failed {
			fmt.Println("failed:", e)
		}
	}
	fmt.Printf("%s, %v, %s\n", responses[0].Data, responses[1], responses[2].Data)
	// Output:
	// failed: request 1: increment: ERR value is not an integer or out of range
	// name 7, <nil>, name 999
}

func ExampleWithTracerProvider() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	spans := tracetest.NewSpanRecorder() // in a service: an exporter to where traces go
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": server.Addr()},
		redisbinding.WithTracerProvider(provider), redisbinding.WithKeysInSpans(), redisbinding.WithLazyConnect())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer binding.Close()
	_, _ = binding.Invoke(context.Background(), &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation, Metadata: map[string]string{"key": "greeting"}, Data: []byte("Hello")})

	for _, attribute := range spans.Ended()[0].Attributes() {
		if attribute.Key == "db.query.text" {
			fmt.Println(attribute.Value.AsString())
		}
	}
	// Output: SET greeting ?
}
