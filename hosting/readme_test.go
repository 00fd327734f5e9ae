package hosting

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README names every method with which an app is declared.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, of := range []any{&Builder{}, &Redis{}, &Cluster{}, &Sentinel{}, &UI{}, &Project{}} {
		methods := reflect.TypeOf(of)
		for i := range methods.NumMethod() {
			name := methods.Method(i).Name
			for _, prefix := range []string{"Add", "With", "WaitFor"} {
				if strings.HasPrefix(name, prefix) {
					assert.True(t, strings.Contains(string(text), name+"("), "%T.%s", of, name)
				}
			}
		}
	}
}
