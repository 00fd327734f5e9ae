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

// TestFaults runs the scenarios one after the other, since each is to have the machine
// for itself, and then reports.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Server is killed and restarted", testServerIsKilledAndRestarted},
		{"Server is stopped", testServerIsStopped},
		{"Primary is killed", testPrimaryIsKilled},
		{"Cluster master is killed", testClusterMasterIsKilled},
		{"Slots move", testSlotsMove},
		{"Connections are cut", testConnectionsAreCut},
		{"Connections are cut with retries", testConnectionsAreCutWithRetries},
		{"Replies are lost", testRepliesAreLost},
		{"Bytes are corrupted", testBytesAreCorrupted},
		{"Certificate is replaced", testCertificateIsReplaced},
		{"Name changes address", testNameChangesAddress},
		{"Slow network", testSlowNetwork},
		{"Max memory", testMaxMemory},
		{"Max clients", testMaxClients},
		{"Large values", testLargeValues},
		{"Clock steps", testClockSteps},
		{"Resources stay level", testResourcesStayLevel},
		{"Caches are cut", testCachesAreCut},
		{"Many callers of a dead server", testManyCallersOfADeadServer},
	} {
		t.Run(test.name, test.run)
	}
	t.Log("\n" + results.text())
	if *report != "" && !t.Failed() {
		writeReport(t, *report)
	}
	checkReport(t)
}
