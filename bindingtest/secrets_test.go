package bindingtest

import (
	"testing"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/secrettest"
)

// No exported type shows a secret that it holds, however it is printed.
func TestTypesShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = secrettest.Nasty
	binding := New(t)
	_, err := binding.Invoke(t.Context(), &redisbinding.InvokeRequest{Operation: redisbinding.CreateOperation,
		Metadata: map[string]string{"key": secret}, Data: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	binding.Fail("ERR " + secret)
	secrettest.CheckTypes(t, ".", secret, map[string][]any{"Binding": {binding}})
}
