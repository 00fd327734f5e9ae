package soak

import (
	"flag"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

var (
	each   = flag.Duration("each", time.Second, "how `long` each fault lasts, or is repeated")
	report = flag.String("report", "", "the `file` whose tables to write")
)

func TestMain(m *testing.M) { redistest.Main(m) }
