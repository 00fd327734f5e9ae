package cache

import (
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }
