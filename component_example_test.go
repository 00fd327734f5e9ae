package redisbinding_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alicebob/miniredis/v2"

	"github.com/redisbinding/redisbinding"
)

// A component file as daprd has it, with its password in a store of one's own.
func ExampleLoadComponents() {
	server, err := miniredis.Run() // an embedded Redis; yours is at a host and port
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.RequireAuth("from the vault")

	file := strings.NewReader(`
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: carts
spec:
  type: bindings.redis
  version: v1
  metadata:
  - name: redisHost
    value: ` + server.Addr() + `
  - name: redisPassword
    secretKeyRef:
      name: redis
      key: password
auth:
  secretStore: vault
`)
	secrets := func(store, name, key string) (string, error) {
		if store+"/"+name+"/"+key != "vault/redis/password" {
			return "", errors.New("no such secret")
		}
		return "from the vault", nil
	}
	components, err := redisbinding.LoadComponents(file, secrets)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, component := range components {
		binding, err := redisbinding.NewRedisBinding(component.Metadata)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer binding.Close()
		fmt.Println(component)
	}
	// Output: component "carts" of type bindings.redis with redisHost, redisPassword
}

// Every mistake is reported at once, with its line.
func ExampleComponentError() {
	_, err := redisbinding.LoadComponents(strings.NewReader(`
kind: Component
metadata:
  name: carts
spec:
  type: bindings.redis
  metadata:
  - name: redisHost
    vaule: localhost:6379
  - name: redisPassword
    secretKeyRef: {name: redis}
`), nil)
	fmt.Println(err)

	var first *redisbinding.ComponentError
	if errors.As(err, &first) {
		fmt.Println("line", first.Line)
	}
	// Output:
	// redisbinding: component file line 9: component "carts": an item of spec.metadata has the key "vaule": did you mean value?
	// redisbinding: component file line 11: component "carts": redisPassword: secret "redis", key "redis", store "": there is no resolver for secrets
	// line 9
}

// The variable REDIS_PASSWORD is what secretKeyRef: {name: REDIS_PASSWORD} takes.
func ExampleEnvSecrets() {
	_ = os.Setenv("REDIS_PASSWORD", "from the environment")
	password, err := redisbinding.EnvSecrets()("", "REDIS_PASSWORD", "")
	fmt.Println(password, err)
	// Output: from the environment <nil>
}

// A secret as Kubernetes mounts it, of which secretKeyRef: {name: redis, key:
// password} takes one file.
func ExampleFolderSecrets() {
	dir, err := os.MkdirTemp("", "secrets")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Mkdir(filepath.Join(dir, "redis"), 0o700)
	_ = os.WriteFile(filepath.Join(dir, "redis", "password"), []byte("from a file\n"), 0o600)

	password, err := redisbinding.FolderSecrets(dir)("kubernetes", "redis", "password")
	fmt.Println(password, err)
	// Output: from a file <nil>
}
