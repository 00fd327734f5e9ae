// Command ui stands in for Redis Commander and Redis Insight in tests: it serves its
// environment, and what the servers that this names answer to AUTH and PING.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// report is what it serves, as JSON.
type report struct {
	Env   map[string]string
	Pings map[string]string // answers by the name of the connection
}

func main() {
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: http.HandlerFunc(serve), ReadHeaderTimeout: time.Minute}
	fmt.Println(server.ListenAndServe())
	os.Exit(1)
}

func serve(w http.ResponseWriter, _ *http.Request) {
	r := report{Env: map[string]string{}, Pings: map[string]string{}}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		r.Env[name] = value
	}
	if hosts := r.Env["REDIS_HOSTS"]; hosts != "" { // name:host:port:database[:password]
		for host := range strings.SplitSeq(hosts, ",") {
			parts := append(strings.SplitN(host, ":", 5), "")
			r.Pings[parts[0]] = ping(net.JoinHostPort(parts[1], parts[2]), parts[4])
		}
	}
	for n := 1; r.Env[fmt.Sprint("RI_REDIS_HOST", n)] != ""; n++ {
		of := func(field string) string { return r.Env[fmt.Sprint("RI_REDIS_", field, n)] }
		r.Pings[of("ALIAS")] = ping(net.JoinHostPort(of("HOST"), of("PORT")), of("PASSWORD"))
	}
	_ = json.NewEncoder(w).Encode(r)
}

// ping returns the answers of a Redis, in one line.
func ping(address, password string) string {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	commands := []string{"PING"}
	if password != "" {
		commands = []string{"AUTH " + password, "PING"}
	}
	var answers []string
	reader := bufio.NewReader(conn)
	for _, command := range commands {
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return err.Error()
		}
		answer, err := reader.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		answers = append(answers, strings.TrimSpace(answer))
	}
	return strings.Join(answers, " ")
}
