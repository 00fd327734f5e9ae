package cache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/cache"
)

func ExampleHealthHandler() {
	server, err := miniredis.Run() // an embedded Redis; yours is at a host and port
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DialerRetries: 1})
	defer client.Close()

	checks := cache.HealthChecks{}
	checks[cache.HealthCheckName] = func(ctx context.Context) error { return client.Ping(ctx).Err() }
	health := http.NewServeMux()
	health.Handle("/health", cache.HealthHandler(checks))

	probe := func() {
		answer := httptest.NewRecorder()
		health.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/health", nil))
		var report struct {
			Status  string
			Entries map[string]struct{ Status string }
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &report); err != nil {
			fmt.Println(err)
		}
		fmt.Println(answer.Code, report.Status, report.Entries)
	}
	probe()
	server.Close()
	probe()
	// Output:
	// 200 Healthy map[StackExchange.Redis:{Healthy}]
	// 503 Unhealthy map[StackExchange.Redis:{Unhealthy}]
}
