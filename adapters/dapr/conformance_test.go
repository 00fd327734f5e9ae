package dapr

import (
	"testing"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/bindingtest"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	fields := redistest.Plain(t).Fields()
	bindingtest.Conformance(t, func(t *testing.T) redisbinding.OutputBinding { return newRemote(t, fields) })
}
