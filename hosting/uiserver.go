package hosting

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
)

// uiKind is which of the two user interfaces.
type uiKind int

const (
	commander uiKind = iota // Redis Commander
	insight                 // Redis Insight
)

// What the user interfaces are, by kind.
const (
	commanderName  = "rediscommander"
	commanderImage = "docker.io/rediscommander/redis-commander"
	commanderTag   = "0.9.0"
	commanderPort  = 8081 // in its container

	insightName  = "redisinsight"
	insightImage = "docker.io/redis/redisinsight"
	insightTag   = "3.2"
	insightPort  = 5540 // in its container
)

// uiServer is a user interface for a runtime to start.
type uiServer struct {
	kind    uiKind
	name    string
	image   string // with its tag
	port    int    // on the host; 0: any that is free
	targets []uiTarget
}

// uiTarget is a Redis that a user interface shows.
type uiTarget struct {
	name     string
	server   *server
	host     string // as the user interface reaches it
	port     int
	password string
	tls      *certificates
}

// innerPort is where it listens in its container.
func (u *uiServer) innerPort() int {
	if u.kind == insight {
		return insightPort
	}
	return commanderPort
}

// containerEnv is the environment of the container, name=value.
func (u *uiServer) containerEnv() []string {
	if u.kind == insight {
		return u.insightEnv()
	}
	for _, t := range u.targets {
		if t.tls != nil { // REDIS_HOSTS cannot say so
			return []string{u.commanderConfig()}
		}
	}
	hosts := make([]string, 0, len(u.targets))
	for _, t := range u.targets {
		host := strings.Join([]string{t.name, t.host, strconv.Itoa(t.port), "0"}, ":")
		if t.password != "" {
			host += ":" + t.password
		}
		hosts = append(hosts, host)
	}
	return []string{"REDIS_HOSTS=" + strings.Join(hosts, ",")}
}

func (u *uiServer) insightEnv() []string {
	var env []string
	for i, t := range u.targets {
		n := strconv.Itoa(i + 1)
		env = append(env, "RI_REDIS_HOST"+n+"="+t.host, "RI_REDIS_PORT"+n+"="+strconv.Itoa(t.port), "RI_REDIS_ALIAS"+n+"="+t.name)
		if t.password != "" {
			env = append(env, "RI_REDIS_PASSWORD"+n+"="+t.password)
		}
		if t.tls != nil {
			env = append(env, "RI_REDIS_TLS"+n+"=true", "RI_REDIS_TLS_CA_BASE64"+n+"="+t.tls.caBase64())
		}
	}
	return env
}

// commanderConfig is the environment variable that redis-commander, or rather the
// package config that it uses, reads as JSON. So no password is on a command line.
func (u *uiServer) commanderConfig() string {
	type tls struct {
		CA string `json:"ca"`
		// Certificates are for 127.0.0.1 and the name of the resource.
		ServerName string `json:"servername,omitempty"`
	}
	type connection struct {
		Label    string `json:"label"`
		Host     string `json:"host"`
		Port     int    `json:"port"`
		DBIndex  int    `json:"dbIndex"`
		Password string `json:"password,omitempty"`
		TLS      *tls   `json:"tls,omitempty"`
	}
	connections := make([]connection, 0, len(u.targets))
	for _, t := range u.targets {
		c := connection{Label: t.name, Host: t.host, Port: t.port, Password: t.password}
		if t.tls != nil {
			c.TLS = &tls{CA: string(t.tls.ca)}
			if net.ParseIP(t.host) == nil {
				c.TLS.ServerName = t.host
			}
		}
		connections = append(connections, c)
	}
	text, err := json.Marshal(map[string]any{"connections": connections})
	if err != nil {
		panic("hosting: " + err.Error()) // there is nothing in it that JSON cannot hold
	}
	return "NODE_CONFIG=" + string(text)
}
